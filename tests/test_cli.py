"""The command line finds its groups, starts fast, and says a user's error in one line."""

import importlib
import resource
import subprocess
import sys
import textwrap

import pytest

from parrot import cli

COMMANDS = """
    '''Things to try.'''
    from parrot.errors import DatasetError

    def add(a: int, *, b: int = 2) -> None:
        '''Adds two numbers.

        Args:
            a: the first.
            b: the second.
        '''
        print(a + b)

    def lose() -> None:
        '''Misses its dataset.'''
        raise DatasetError("data/none: there is no dataset; collect one")

    def stop() -> None:
        '''Is interrupted.'''
        raise KeyboardInterrupt

    def crash() -> None:
        '''Has a bug.'''
        raise ZeroDivisionError

    def status(code: int) -> int:
        '''Ends with a status.'''
        return code

    COMMANDS = {"add": add, "lose": lose, "stop": stop, "crash": crash, "status": status}
"""

RAW = """
    '''Takes words as they are.'''

    def words(argv: list[str]) -> int:
        '''Prints its words.'''
        print(argv)
        return 3

    COMMANDS = {"words": words}
"""

SINGLE = """
    '''Doubles.'''

    def double(number: int) -> None:
        '''Prints twice a number.'''
        print(2 * number)

    COMMANDS = {"double": double}
"""


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Three groups of commands in real modules, beside the real ones."""
    for name, text in {"try_these": COMMANDS, "try_raw": RAW, "try_single": SINGLE}.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(cli.GROUPS, name, name)
    monkeypatch.setitem(cli.GROUPS, "not_there", "parrot.commands.not_there")
    monkeypatch.syspath_prepend(str(tmp_path))


def parrot(*words):
    return subprocess.run([sys.executable, "-m", "parrot.cli", *words], capture_output=True, text=True, check=False)


def test_help_lists_every_group_with_the_first_line_of_its_module(groups, capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.available():
        assert name in text
        assert " ".join(cli.summary_line(name).split()[:3]) in text
    assert "Things to try." in text
    assert "not_there" not in text


def test_help_does_not_import_what_is_slow():
    code = (
        "import sys; from parrot.cli import main; main(['--help']);"
        "print(sorted({'torch', 'pybullet', 'rclpy', 'tyro', 'matplotlib', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_takes_less_than_half_a_second_of_processor_time():
    def children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = children()
        assert parrot("--help").returncode == 0
        times.append(children() - before)
    assert min(times) < 0.5


@pytest.mark.parametrize("group", cli.available())
def test_each_group_explains_itself(group):
    done = parrot(group, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    commands = importlib.import_module(cli.GROUPS[group].partition(":")[0]).COMMANDS
    assert all(command.__doc__ for command in commands.values())


def test_version_is_that_of_package_xml():
    import parrot as package

    done = parrot("--version")
    assert (done.returncode, done.stdout) == (0, f"parrot {package.__version__}\n")


def test_unknown_command_names_the_known_ones():
    done = parrot("dance")
    assert done.returncode == 2
    assert done.stderr.startswith("parrot: there is no command 'dance'; choose one of ")
    assert done.stderr.count("\n") == 1


def test_unknown_option_before_the_command_is_an_error():
    done = parrot("--dance")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_typed_function_becomes_a_command(groups, capsys):
    assert cli.main(["try_these", "add", "--a", "40"]) == 0
    assert capsys.readouterr().out == "42\n"


def test_a_single_command_needs_no_second_name(groups, capsys):
    assert cli.main(["-q", "try_single", "--number", "21"]) == 0
    assert capsys.readouterr().out == "42\n"


def test_a_command_of_a_group_may_have_a_name_of_its_own(groups, monkeypatch, capsys):
    monkeypatch.setitem(cli.GROUPS, "sum", "try_these:add")
    assert cli.summary_line("sum") == "Adds two numbers."
    assert cli.main(["sum", "--a", "1"]) == 0
    assert capsys.readouterr().out == "3\n"


def test_raw_arguments_pass_as_they_are(groups, capsys):
    words = ["x.launch.py", "task:=grasp cap", "--show-args", "-v"]
    assert cli.main(["try_raw", *words]) == 3
    assert capsys.readouterr().out == f"{words}\n"


def test_a_users_error_is_one_line_and_an_exit_code(groups, capsys):
    assert cli.main(["try_these", "lose"]) == 4
    assert capsys.readouterr().err == "parrot: data/none: there is no dataset; collect one\n"


def test_interrupt_ends_with_130(groups):
    assert cli.main(["try_these", "stop"]) == 130


def test_a_bug_keeps_its_traceback(groups):
    with pytest.raises(ZeroDivisionError):
        cli.main(["try_these", "crash"])


def test_an_int_that_a_command_returns_is_the_exit_status(groups):
    assert cli.main(["try_these", "status", "--code", "5"]) == 5


def test_a_reader_that_leaves_early_is_no_crash():
    process = subprocess.Popen(
        [sys.executable, "-m", "parrot.cli", "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
