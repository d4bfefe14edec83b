"""``crbench report`` on real runs: every number is that of results.json in every format, and mistakes are one line."""

import csv
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from bench.cli import run_cli
from bench.store.checksums import sealed

WITHOUT_PGD = re.compile(r'\n\[\[metric\]\]\nuse = "adversarial\.pgd".*', re.DOTALL)


@pytest.fixture(scope="module")
def runs(first_run, tmp_path_factory):
    """A folder with the tiny suite's run, and that of another reference which asks for less and for its members."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(first_run / "reports" / "tiny", folder / "a")
    shutil.copytree(first_run / ".crbench", folder / ".crbench")
    text = WITHOUT_PGD.sub("", (first_run / "tiny.toml").read_text())
    text = text.replace('name = "tiny"', 'name = "other"').replace("epochs = 4", "epochs = 2")
    text = text.replace("[yardstick]\nretrained = 4\n", "")
    text += '\n[[metric]]\nuse = "uncertainty.members"\n\n[[metric]]\nuse = "cost"\nrounds = 5\n'
    method = 'method = { use = "deep-ensemble", members = 2 }\n'
    (folder / "other.toml").write_text(text.replace('model = "mlp"\n', f'model = "mlp"\n{method}'))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_cli(["run", "other.toml", "--quiet", "--out", "b"]) == 0
    return folder


@pytest.fixture
def at(runs, monkeypatch):
    monkeypatch.chdir(runs)
    return runs


@pytest.fixture
def joined(at, tmp_path, capsys):
    """The board of both runs: its page, columns, lines and what the terminal showed."""
    monkey = pytest.MonkeyPatch()
    monkey.setenv("COLUMNS", "400")
    assert run_cli(["report", "a", "b", "-o", str(tmp_path / "board")]) == 0
    monkey.undo()
    board = tmp_path / "board"
    lines = list(csv.DictReader((board / "board.csv").open(newline="")))
    return Tables((board / "index.html").read_text()), read(board / "board.json"), lines, capsys.readouterr().out


def read(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


class Tables(HTMLParser):
    """Every table of a page as rows of texts, and every element that it holds."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tables, self.tags, self.words, self.into = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.into = self.tables[-1][-1]

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.into[-1] = " ".join(self.into[-1].split())
            self.into = None

    def handle_data(self, data):
        self.words.append(data)
        if self.into is not None:
            self.into[-1] += data


SCALES = {"%": 100, "points": 100, "kB": 1e-3, "MB": 1e-6, "k": 1e-3, "M": 1e-6}


def shows(text, number):
    """Whether a figure in words is the number, rounded to the digits that it shows."""
    found = re.match(r"[+]?(-?[\d.]+)(e-?\d+)?(?: ([a-zA-Z%]+))?", text)
    shown, power = float(found[1] + (found[2] or "")), int((found[2] or "e0")[1:])
    scale = SCALES.get(found[3], 1)
    digits = len(found[1].partition(".")[2])
    return abs(shown - number * scale) <= 0.5000001 * 10.0 ** (power - digits)


def cell_in(results, column, variant, target):
    """The value in results.json, found without the code under test."""
    for cell in results["cells"]:
        if (cell["metric"], cell["params"], cell["target"]) == (column["metric"], column["params"], target) and (
            variant in (None, cell["variant"])
        ):
            yield cell["values"][column["value"]]


def test_every_number_of_the_json_is_that_of_the_results(joined, at):
    _, board, _, _ = joined
    (group,) = board["groups"]
    files = [read(at / name / "results.json") for name in "ab"]
    assert [run["suite"] for run in group["runs"]] == ["tiny", "other"]
    compared = 0
    rows = list(zip(*(group["rows"][name] for name in ("run", "variant", "target")), strict=True))
    assert len(rows) == 2 * (2 + 3)  # a reference on each target; noise on both, int8 on the session alone
    for column in group["columns"]:
        if column["derived"]:
            continue
        for place, (run, variant, target) in enumerate(rows):
            values = list(cell_in(files[run], column, variant, target))
            if not values:
                assert column["status"][place] == "absent"
            elif variant is None:
                own = [value["reference"] for value in values]
                if column["status"][place] == "range":
                    assert (column["low"][place], column["high"][place]) == (min(own), max(own))
                else:
                    assert [column["number"][place]] * len(own) == own
                    limits = [column["low"][place], column["high"][place]]
                    assert [limits] * len(own) == [value["reference_ci"] or [None, None] for value in values]
                compared += 1
            else:
                (value,) = values
                change = value["kind"] == "change"
                own = value["estimate" if change else "variant"], *(value["ci" if change else "own_ci"] or (None, None))
                assert own == tuple(column[name][place] for name in ("number", "low", "high"))
                harm = (None,) * 3 if change else (value["estimate"], *(value["ci"] or (None, None)))
                assert harm == tuple(column[name][place] for name in ("against", "against_low", "against_high"))
                assert column["reason"][place] == value["reason"]
                compared += 1
    assert compared > 40


def test_the_share_kept_is_the_ratio_of_two_figures(joined, at):
    _, board, _, _ = joined
    (group,) = board["groups"]
    kept = next(column for column in group["columns"] if column["derived"])
    own = next(column for column in group["columns"] if column["name"] == "uncertainty.members.disagreement")
    results, seen = read(at / "b" / "results.json"), 0
    for place, run in enumerate(group["rows"]["run"]):
        variant, target = group["rows"]["variant"][place], group["rows"]["target"][place]
        if run == 0:
            assert kept["status"][place] == "absent"
        elif variant is None:
            assert kept["status"][place] == "itself"
        else:
            (value,) = cell_in(results, own, variant, target)
            assert kept["number"][place] == value["variant"] / value["reference"]
            assert "no interval" in kept["reason"][place]
            seen += 1
    assert seen == 3


def test_csv_holds_the_numbers_of_the_json(joined):
    _, board, lines, _ = joined
    (group,) = board["groups"]
    assert len(lines) == len(group["rows"]["run"])
    for column in group["columns"]:
        for place, line in enumerate(lines):
            assert line[f"{column['name']}.status"] == column["status"][place]
            for figure in ("number", "low", "high", "against", "against_low", "against_high"):
                head = column["name"] if figure == "number" else f"{column['name']}.{figure}"
                text = line.get(head.replace(".against", f".{column['against_is']}"), "")
                assert (float(text) if text else None) == column[figure][place]


def printed_rows(terminal, names):
    """The words that a terminal of one table shows for each row, in order."""
    starts, lines = [], terminal.splitlines()
    for name in names:
        after = starts[-1] + 1 if starts else 0
        starts.append(next(i for i in range(after, len(lines)) if lines[i].startswith(f"  {name} ")))
    return [" ".join(" ".join(lines[start:end]).split()) for start, end in pairwise([*starts, starts[-1] + 4])]


def test_page_and_terminal_show_the_numbers_of_the_json(joined):
    page, board, _, terminal = joined
    (group,) = board["groups"]
    rows = [row for row in page.tables[0] if len(row) == 2 + len(group["columns"])][1:]
    assert len(rows) == len(group["rows"]["run"])
    blocks = printed_rows(terminal, [name or "reference" for name in group["rows"]["variant"]])
    figures = 0
    for place, (row, printed) in enumerate(zip(rows, blocks, strict=True)):
        for column, text in zip(group["columns"], row[2:], strict=True):
            number, low, against = (column[name][place] for name in ("number", "low", "against"))
            if text.startswith("same within arithmetic"):
                continue
            if number is None and column["status"][place] != "range":
                assert not re.match(r"[-+\d≤≥]", text)
                continue
            figures += 1
            assert shows(text, low if number is None else number)
            assert all(word in printed for word in text.split())
            intervals = re.findall(r"\[(\S+), (\S+)\]", text)
            if low is not None and number is not None:
                factor = "x %" if "%" in text.partition("[")[0] else "x"
                assert shows(intervals[0][0] + factor[1:], low)
                assert shows(intervals[0][1] + factor[1:], column["high"][place])
                assert f"[{', '.join(intervals[0])}]" in printed
            if column["against_is"] == "harm" and against is not None:
                harm = re.search(r"(?:\]|interval) ([-+]?\d\S*(?: [a-z]+)?)", text)[1]
                assert shows(harm, against)
    assert figures > 40


def test_a_metric_that_one_run_did_not_ask_for_is_not_measured_there(joined):
    page, _, _, terminal = joined
    words = " ".join(" ".join(page.words).split())
    assert "all of other" in words
    assert "not measured" in terminal


def test_the_page_is_one_file(joined):
    page, _, _, _ = joined
    assert not {"link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert [attributes.get("src") for tag, attributes in page.tags if tag == "script"] == [None, None]
    heads = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert heads
    assert set(heads) <= {"col", "row", "rowgroup"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda r: r["suite"]["data"].update(fingerprint="0" * 64), "data: digits (000000000000)"),
        (lambda r: r["suite"]["data"].update(evaluation=149), "evaluation samples: 149"),
        (lambda r: r["run"]["machine"].update(fingerprint="0" * 16, cpu="Z80"), "processor: Z80"),
        (lambda r: r["run"].update(device="cuda"), "device: cuda"),
        (lambda r: r["run"]["machine"].update(fingerprint=""), "machine: not recorded"),
        (lambda r: r.update(run=None), "machine: not recorded"),
    ],
)
def test_what_may_not_be_joined_stands_apart(at, tmp_path, monkeypatch, capsys, change, named):
    monkeypatch.chdir(tmp_path)
    other = altered_in(tmp_path, at, change)
    assert run_cli(["report", str(at / "a"), other, str(at / "b"), "-o", "board"]) == 0
    board = read(tmp_path / "board" / "board.json")
    assert [[run["place"] for run in group["runs"]] for group in board["groups"]] == [
        [str(at / "a"), str(at / "b")],
        [other],
    ]
    page = Tables((tmp_path / "board" / "index.html").read_text())
    heading = next(text for text in page.words if text.startswith("Table 2 of 2"))
    assert named in heading
    assert "Table 2 of 2" in capsys.readouterr().out


def altered_in(folder, at, change):
    """A copy of a run with other content, sealed anew as an honest writer would."""
    results = read(at / "a" / "results.json")
    change(results)
    results["arrays_sha256"] = ""
    (folder / "altered").mkdir()
    (folder / "altered" / "results.json").write_text(json.dumps(sealed(results)))
    return "altered"


def test_runs_that_record_nothing_are_not_joined_with_each_other(at, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, epoch in (("x", "1"), ("y", "2")):
        (tmp_path / name).mkdir()
        results = read(at / "a" / "results.json") | {"run": None, "arrays_sha256": ""}
        results["suite"]["name"] += epoch
        (tmp_path / name / "results.json").write_text(json.dumps(sealed(results)))
    assert run_cli(["report", "x", "y", "-o", "board", "-q"]) == 0
    assert len(read(tmp_path / "board" / "board.json")["groups"]) == 2


def test_sums_of_8_bit_products_part_runs_only_where_both_are_known(at, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for name, sums in (("x", {"P": "exact"}), ("y", {}), ("z", {"P": "saturating"})):
        results = read(at / "a" / "results.json") | {"arrays_sha256": ""}
        results["run"]["machine"]["integer_sums"], results["suite"]["name"] = sums, name
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(sealed(results)))
        names.append(name)
    assert run_cli(["report", *names, "-o", "board", "-q"]) == 0
    board = read(tmp_path / "board" / "board.json")
    assert [[run["suite"] for run in group["runs"]] for group in board["groups"]] == [["x", "y"], ["z"]]
    assert board["groups"][0]["differs"] == ["sums of 8-bit products"]


def mistakes(capsys, *arguments):
    """The lines of an answer of 2, without a traceback."""
    assert run_cli(["report", *arguments]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert "Traceback" not in shown.err
    return shown.err.splitlines()


def test_every_run_that_cannot_be_read_is_said_at_once(at, tmp_path, capsys):
    whole = (at / "a" / "results.json").read_text()
    for name, text in (("cut", whole[:-100]), ("changed", whole.replace('"n": 150', '"n": 151', 1)), ("list", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text)
    bad = [str(tmp_path / name) for name in ("cut", "changed", "list", "absent")]
    lines = mistakes(capsys, "a", *bad, "-o", str(tmp_path / "board"))
    assert len(lines) == 4
    for line, where, what in zip(
        lines, bad, ("cut short", "checksum does not fit", "holds no results", "No such file"), strict=True
    ):
        assert where in line
        assert what in line
        assert ";" in line  # and what would be right
    assert not (tmp_path / "board").exists()


def test_a_run_given_twice_is_said(at, tmp_path, capsys):
    shutil.copytree(at / "a", tmp_path / "copy")
    out = ("-o", str(tmp_path / "board"))
    assert mistakes(capsys, "a", "a", *out) == ["crbench: a: is the same run as a; name each run once"]
    assert "a/results.json: is the same run as a" in mistakes(capsys, "a", "b", "a/results.json", *out)[0]
    assert f"{tmp_path / 'copy'}: is the same run as a" in mistakes(capsys, "a", str(tmp_path / "copy"), *out)[0]


def test_a_value_that_no_run_has_is_answered_with_the_nearest(at, tmp_path, capsys):
    (line,) = mistakes(capsys, "a", "--value", "fidelity.accuracy.acuracy", "-o", str(tmp_path / "board"))
    assert line == (
        "crbench: --value: no run has 'fidelity.accuracy.acuracy'; did you mean 'fidelity.accuracy.accuracy'?"
    )


def test_the_report_of_a_run_is_not_written_over(at, capsys):
    before = (at / "a" / "index.html").read_bytes()
    (line,) = mistakes(capsys, "b", "-o", "a")
    assert "--out a: is the folder of a run" in line
    assert (at / "a" / "index.html").read_bytes() == before


def test_columns_are_those_that_were_asked_for_in_that_order(at, tmp_path, capsys):
    wanted = ["fidelity.predictions.flip_rate", "adversarial.pgd[steps=3].robust_error", "fidelity.accuracy.accuracy"]
    options = [item for name in (*wanted, wanted[0]) for item in ("--value", name)]
    assert run_cli(["report", "a", "b", *options, "-o", str(tmp_path / "board"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == read(tmp_path / "board" / "board.json")
    (group,) = shown["groups"]
    assert [column["name"] for column in group["columns"]] == [wanted[0], "adversarial.pgd.robust_error", wanted[2]]
    assert "fidelity.predictions.js" in shown["left_out"]


def test_runs_of_one_suite_are_told_apart_by_their_place(at, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    altered_in(tmp_path, at, lambda results: results["run"].update(started="2026-01-05T10:00:00+00:00"))
    assert run_cli(["report", str(at / "a"), "altered", "-o", "board", "-q"]) == 0
    (group,) = read(tmp_path / "board" / "board.json")["groups"]
    names = [run["name"] for run in group["runs"]]
    assert names == [f"tiny ({at / 'a'})", "tiny (altered)"]


def test_the_same_command_writes_the_same_bytes(at, tmp_path):
    for name in ("one", "two"):
        assert run_cli(["report", "a", "b", "-o", str(tmp_path / name), "-q"]) == 0
    for name in ("index.html", "board.json", "board.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_run_of_nothing_is_incomplete(at, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    altered_in(tmp_path, at, lambda results: results.update(cells=[], variants=[], variant_ratios=[]))
    assert run_cli(["report", "altered", "-o", "board"]) == 3
    assert "no run holds a value" in capsys.readouterr().err
    assert "Nothing was measured" in (tmp_path / "board" / "index.html").read_text()


def test_a_board_needs_no_torch(at, tmp_path):
    code = (
        "import sys\nfrom bench.cli import run_cli\n"
        f"print(run_cli(['report', 'a', 'b', '-q', '-o', {str(tmp_path / 'board')!r}]),"
        " [name for name in ('torch', 'onnx', 'onnxruntime', 'bench.engine') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_rows_stand_in_the_order_given(at, tmp_path):
    for order in (("a", "b"), ("b", "a")):
        out = tmp_path / "".join(order)
        assert run_cli(["report", *order, "-o", str(out), "-q"]) == 0
        (group,) = read(out / "board.json")["groups"]
        assert [run["place"] for run in group["runs"]] == list(order)
        assert all(first <= second for first, second in pairwise(group["rows"]["run"]))


def test_two_runs_of_a_suite_are_paired_network_by_network(measured, capsys):
    shutil.copytree(measured.folder / "reports/tiny", measured.folder / "before")
    measured.write("sigma = 0.3", "sigma = 3.0")
    assert measured.run("run", "tiny.toml", "--quiet", "--out", "after") == 0
    assert measured.run("report", "before", "after", "-o", "board", "--quiet") == 0
    tables = Tables((measured.folder / "board/index.html").read_text()).tables
    (pairs,) = (table for table in tables if table[0] == ["network", "value", "what is known"])
    found = {(who, value.partition(",")[0]): sentence for who, value, sentence in pairs[1:]}

    def figures(run):
        cells = read(measured.folder / run / "results.json")["cells"]
        return next(
            cell["values"]["accuracy"]
            for cell in cells
            if (cell["variant"], cell["target"], cell["metric"]) == ("noise", "torch", "fidelity.accuracy")
        )

    before, after = (figures(run)["variant"] for run in ("before", "after"))
    said = found["noise (torch)", "accuracy"]
    assert said.startswith("noise in tiny (after) is worse than noise in tiny (before) by ")
    assert shows(said.partition(" by ")[2], before - after)
    assert found["reference (torch)", "accuracy"] == "one and the same measurement in both"
    assert found["int8 (edge)", "accuracy"] == "one and the same measurement in both"
    capsys.readouterr()
    measured.run("compare", "before", "after", "--json")
    ratio = next(
        item
        for item in json.loads(capsys.readouterr().out)["ratios"]
        if (item["variant"], item["target"], item["value"]) == ("noise", "torch", "js")
    )
    said = found["noise (torch)", "Jensen-Shannon divergence"]
    assert said.startswith("noise in tiny (after) moved ")
    assert shows(said.partition(" moved ")[2], ratio["ratio"])


def test_runs_without_arrays_stand_side_by_side_unpaired(measured):
    for name in ("before", "after"):
        shutil.copytree(measured.folder / "reports/tiny", measured.folder / name)
    results = measured.folder / "after/results.json"
    told = read(results)
    told["suite"]["name"] = "other"
    results.write_text(json.dumps(sealed(told)))
    (measured.folder / "after/arrays.npz").unlink()
    assert measured.run("report", "before", "after", "-o", "board", "--quiet") == 0
    tables = Tables((measured.folder / "board/index.html").read_text()).tables
    assert all(table[0] != ["network", "value", "what is known"] for table in tables)
