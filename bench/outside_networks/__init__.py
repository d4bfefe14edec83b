"""Networks that were not made here: files, factories, hubs, objects in memory."""
