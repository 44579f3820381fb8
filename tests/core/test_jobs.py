"""Job lists: what may be written, what is refused and where it says so, and safe file names."""

import json

import pytest

from causvid_core.farm.job_names import Pattern, slug
from causvid_core.farm.jobs import Job, JobListError, parse_jobs, read_jobs, settle


def test_text_is_a_prompt_a_line():
    text = "\ufeff# a comment\n\n  a red circle, moving left \r\n\t# another\r\na blue square\n"
    assert parse_jobs(text, ".txt") == [
        Job(3, "a red circle, moving left"),
        Job(5, "a blue square"),
    ]


def test_csv_with_quotes_commas_and_lines_within_cells():
    text = (
        "Seed, PROMPT ,seconds,name\r\n"
        '7,"a ""red"" circle, moving left",2.5,first\r\n'
        "\r\n"
        '"","two\nlines",,\r\n'
        "18446744073709551615,last\r\n"
    )
    assert parse_jobs(text, ".csv") == [
        Job(2, 'a "red" circle, moving left', 7, 2.5, "first"),
        Job(4, "two\nlines"),
        Job(6, "last", 2**64 - 1),
    ]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_tables_of_other_programs(mark):
    text = f"prompt{mark}seconds\na, b{mark}1,5\n"
    assert parse_jobs(text, ".csv") == [Job(2, "a, b", None, 1.5)]


def test_json_lines():
    text = '{"prompt": "a, \\"b\\" 视频", "seed": 3}\n\n{"seconds": 2, "prompt": "c", "seed": null}'
    assert parse_jobs(text, ".jsonl") == [Job(1, 'a, "b" 视频', 3), Job(3, "c", None, 2.0)]


@pytest.mark.parametrize(
    ("suffix", "text", "sentence"),
    [
        (".txt", "", "there is no prompt in it"),
        (".txt", "# only a comment\n", "there is no prompt in it"),
        (".txt", "x" * 20_001, "line 1, prompt: found 'xxx"),
        (".csv", "a red circle\n", "the first row must name the columns"),
        (
            ".csv",
            "prompt,sedd\na,1\n",
            "line 1: 'sedd' is not a field; the fields are prompt, seed",
        ),
        (".csv", "prompt,prompt\na,b\n", "a column is named twice"),
        (".csv", "prompt,seed\na,1\nb,x7\n", "line 3, seed: found 'x7', expected a whole number"),
        (".csv", "prompt,seed\na,1.5\n", "line 2, seed: found '1.5'"),
        (".csv", "prompt,seed\na,-1\n", "line 2, seed: found '-1'"),
        (".csv", f"prompt,seed\na,{2**64}\n", "line 2, seed: found '18446744073709551616'"),
        (".csv", "prompt,seconds\na,0\n", "line 2, seconds: found '0'"),
        (".csv", "prompt,seconds\na,nan\n", "line 2, seconds: found 'nan'"),
        (".csv", "prompt,seconds\na,1e9\n", "line 2, seconds: found '1e9'"),
        (".csv", "prompt,seed\n,1\n", "line 2, prompt: found 'None', expected a text"),
        (".csv", "prompt,seed\na, red circle,1\n", "line 2: 3 cells, but the header has 2"),
        (".csv", 'prompt\n"a\nb\n', "line 2: unexpected end of data"),
        (".csv", 'prompt\n"a" b\n', "write a quote inside quotes twice"),
        (".csv", "prompt\n" + "x" * 200_000, "line 2: field larger than"),
        (".jsonl", "a red circle", "line 1: column 1: Expecting value"),
        (".jsonl", '{"prompt": "a"}\n{"prompt": "b",}', "line 2: column 16: "),
        (".jsonl", "[1]", "line 1: it is not a JSON object such as"),
        (".jsonl", "[" * 100_000, "line 1: it is not a JSON object"),
        (".jsonl", '{"prompt": "a", "prompt": "b"}', "line 1: it names a field twice"),
        (".jsonl", '{"prompt": "a", "steps": 4}', "line 1: 'steps' is not a field"),
        (".jsonl", '{"prompt": 7}', "line 1, prompt: found '7'"),
        (".jsonl", '{"prompt": "a", "seed": true}', "line 1, seed: found 'True'"),
        (".jsonl", '{"prompt": "a", "seed": 1.0}', "line 1, seed: found '1.0'"),
        (".jsonl", '{"prompt": "a", "seconds": [1]}', "line 1, seconds: found '[1]'"),
        (".jsonl", '{"prompt": "a", "seconds": NaN}', "line 1, seconds: found 'nan'"),
        (".jsonl", '{"prompt": "a", "seed": ' + "9" * 5000 + "}", "line 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(suffix, text, sentence):
    with pytest.raises(JobListError) as caught:
        parse_jobs(text, suffix)
    assert sentence in str(caught.value) and len(str(caught.value)) < 300


def test_several_mistakes_are_told_at_once_but_not_all():
    two = "prompt,seed\na,x\nb,1\nc,y\n"
    with pytest.raises(JobListError, match=r"line 2, seed: .*; line 4, seed: "):
        parse_jobs(two, ".csv")
    with pytest.raises(JobListError, match=r"line 6, seed: .*; and more$"):
        parse_jobs("prompt,seed\n" + "a,x\n" * 50, ".csv")


def test_a_thousand_jobs_and_no_more():
    assert len(parse_jobs("a\n" * 1000, ".txt")) == 1000
    with pytest.raises(JobListError, match="line 1001: more than 1,000 jobs; split the list"):
        parse_jobs("a\n" * 100_000, ".txt")


def test_files(tmp_path):
    path = tmp_path / "jobs.CSV"
    path.write_bytes("\ufeffprompt;seed\r\n視頻;4\r\n".encode())
    assert read_jobs(path) == [Job(2, "視頻", 4)]
    for content, sentence in (
        (b"prompt\na\nb\xff\n", "jobs.CSV: line 3 is not UTF-8; save the file as UTF-8"),
        ("prompt\na".encode("utf-16"), "not UTF-8"),
        (b"prompt\na\0b", "it is not text"),
        (b"prompt\n", "jobs.CSV: there is no prompt in it"),
    ):
        path.write_bytes(content)
        with pytest.raises(JobListError, match=sentence):
            read_jobs(path)
    with pytest.raises(JobListError, match=r"jobs.json is not a job list; use a .txt"):
        read_jobs(tmp_path / "jobs.json")
    with path.open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(JobListError, match="larger than 16 MB"):
        read_jobs(path)


def test_what_a_job_leaves_open_is_settled():
    jobs = [Job(1, "a b"), Job(2, "c", 99, 2.0, "My Film"), Job(3, "d")]
    ready = settle(jobs, "set/{index:02}_{name}_{seed}", seed=2**64 - 1, seed_step=2, seconds=3.0)
    assert [job.seed for job in ready] == [2**64 - 1, 99, 3]
    assert [job.seconds for job in ready] == [3.0, 2.0, 3.0]
    assert [job.filename_prefix for job in ready] == [
        f"set/01_a_b_{2**64 - 1}",
        "set/02_My_Film_99",
        "set/03_d_3",
    ]
    same = settle(jobs, "{index}", seed=5, seed_step=0)
    assert [job.seed for job in same] == [5, 99, 5]


def test_names_are_safe_whatever_the_prompt_says():
    assert slug("../../etc/passwd") == "etc_passwd"
    assert slug('a "red" circle: 50 % <b> \\ \0 \n | ?*') == "a_red_circle_50_b"
    assert slug("一个红色的圆 Ünï") == "一个红色的圆_ünï"
    assert slug("...") == slug("") == "video"
    assert len(slug("word " * 100)) <= 40 and len(slug("视" * 500).encode()) <= 120
    made = Pattern("{index:03}_{prompt_slug}").fill(index=4, prompt="/abs", seed=0, name=None)
    assert made == "004_abs"
    assert Pattern("%year%/{name}").fill(index=1, prompt="a", seed=0, name="../x") == "%year%/x"


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "cannot be a file in the output folder"),
        ("../{index}", "cannot be a file in the output folder"),
        ("a/../../b", "cannot be a file in the output folder"),
        ("/abs/{index}", "cannot be a file in the output folder"),
        ("a\\b", "cannot be a file in the output folder"),
        ("c:/x", "cannot be a file in the output folder"),
        ("a\nb", "cannot be a file in the output folder"),
        ("batch/", "cannot be a file in the output folder"),
        ("{index}.", "is not a valid file name"),
        ("aux", "is not a valid file name"),
        ("x" * 300, "is not a valid file name"),
        ("{index", "a brace too many or too few"),
        ("}", "a brace too many or too few"),
        ("{prompt}", "the pattern has {prompt}"),
        ("{}", "the pattern has {}"),
        ("{0}", "the pattern has {0}"),
        ("{prompt_slug.__class__}", "the pattern has {prompt_slug.__class__}"),
        ("{index[0]}", "the pattern has {index[0]}"),
        ("{index!r}", "the pattern has {index}"),
        ("{index:999999999}", "the pattern has {index:999999999}"),
        ("{index:{seed}}", "the pattern has {index:{seed}}"),
        ("{name:05}", "the pattern has {name:05}"),
    ],
)
def test_patterns_that_are_refused(pattern, sentence):
    with pytest.raises(ValueError) as caught:
        Pattern(pattern)
    assert sentence in str(caught.value) and len(str(caught.value)) < 300


def test_a_name_that_no_file_may_have_is_told_with_its_line():
    with pytest.raises(JobListError, match="line 8: the pattern gives 'con'"):
        settle([Job(8, "con")], "{prompt_slug}")


def test_a_list_written_by_a_program_comes_back():
    jobs = [
        {"prompt": f'shot {n}, "take", #{n}', "seed": n, "seconds": n / 4} for n in range(1, 50)
    ]
    text = "\n".join(json.dumps(job) for job in jobs)
    read = parse_jobs(text, ".jsonl")
    assert [(job.prompt, job.seed, job.seconds) for job in read] == [
        tuple(job.values()) for job in jobs
    ]
