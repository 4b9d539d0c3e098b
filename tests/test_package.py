"""The package is what ROS 2 and pip both expect: metadata that agree, data that is found wherever it is installed."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package

import parrot
from parrot.errors import ConfigError
from parrot.resources import idle_cores, share

ROOT = Path(parrot.__file__).resolve().parent.parent
DATA = ("launch", "config", "sim", "models")

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the source tree")


def source_files():
    """What a checkout holds: tracked or new, not ignored."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    ).stdout.split("\0")  # fmt: skip
    names = [name for name in listed if name] or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")]
    return [name for name in names if (ROOT / name).is_file() and not name.startswith("parrot_ws/")]


def data_files():
    return [name for name in source_files() if name.split("/")[0] in DATA and "__pycache__" not in name]


def imports(files):
    """Top-level names of the absolute imports in these files."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"parrot"}


def normal(requirement):
    return re.split(r"[\s\[<>=!~;]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def manifest():
    warnings = []
    package = parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    return package


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Prefix, in a folder with spaces, into which pip installed a copy of the sources without their dependencies."""
    folder = tmp_path_factory.mktemp("a path with spaces")
    for name in source_files():
        target = folder / "source tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    prefix = folder / "an environment"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--ignore-installed", "--disable-pip-version-check", "--prefix", str(prefix), str(folder / "source tree")],
        check=True,
    )  # fmt: skip
    return prefix


def run_installed(prefix, code):
    (site,) = prefix.glob("lib*/python*/site-packages")
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=prefix, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_catkin_pkg_accepts_package_xml_as_ament_python(manifest):
    assert manifest.name == "parrot"
    assert manifest.package_format == 3
    assert manifest.get_build_type() == "ament_python"
    assert manifest.licenses == ["Apache-2.0"]
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_setup_py_says_name_and_version_by_itself(manifest):
    done = subprocess.run(
        [sys.executable, "setup.py", "--name", "--version", "--license"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-3:] == ["parrot", manifest.version, "Apache-2.0"]
    assert parrot.__version__ == manifest.version


def test_colcon_can_read_what_setup_py_says():
    # colcon takes the distribution's attributes from another process as literals; an object among them ends the build.
    code = """
import ast, setuptools, distutils.core
found = distutils.core.run_setup("setup.py", stop_after="config")
left_out = {"cmdclass", "distclass", "ext_modules", "metadata", *found.display_option_names}
values = {key: value for key, value in vars(found).items() if key[0] != "_" and key not in left_out}
values |= {k: v for k, v in vars(found.metadata).items() if k not in ("license_files", "provides_extras")}
values = {key: value for key, value in values.items() if not callable(value)}
for key, value in values.items():
    try:
        assert ast.literal_eval(repr(value)) == value
    except (SyntaxError, ValueError):
        print(key, repr(value))
print(sorted(values["packages"])[0], len(values["data_files"]) > 2, values["python_requires"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["parrot True >=3.10,<3.13"]


def test_what_is_imported_is_a_dependency_of_pip_or_of_ros(manifest):
    owners = metadata.packages_distributions()
    parts = {"pybullet_data": "pybullet", "mpl_toolkits": "matplotlib", "pinocchio": "pin"}
    # What only `parrot bench`, `--ray`, the arm's kinematics and LeRobot's format import has an extra of its own.
    optional = tuple(f'extra == "{name}"' for name in ("bench", "ray", "arm", "lerobot", "video"))
    lines = metadata.requires("parrot")
    declared = {normal(line) for line in lines if "extra ==" not in line or line.endswith(optional)}
    ros = {depend.name for depend in manifest.exec_depends}
    for name in imports((ROOT / "parrot").rglob("*.py")):
        part = parts.get(name, name)
        distributions = {normal(owner) for owner in owners.get(part, [part])}
        assert name in ros or distributions & declared, name


def test_launch_files_import_nothing_that_the_python_of_ros2_launch_lacks():
    files = list((ROOT / "launch").glob("*.launch.py"))
    assert files
    assert imports(files) <= {"launch", "launch_ros"}
    assert not any("import parrot" in file.read_text() or "from parrot" in file.read_text() for file in files)


def test_ros_wheels_are_an_extra_and_never_a_dependency():
    ros = {line for line in metadata.requires("parrot") if "ros-" in line}
    assert {normal(line) for line in ros} == {"ros-rclpy", "ros-jazzy-common-interfaces"}
    assert all(re.search(r"extra == .ros.", line) for line in ros)


def test_entry_points_lead_to_functions():
    scripts = [entry for entry in metadata.distribution("parrot").entry_points if entry.group == "console_scripts"]
    nodes = {
        "sim_node", "prior_node", "rl_node", "recorder_node", "teleop_node",
        "camera_node", "arm_node", "operator_node", "emulated_arm_node", "policy_node", "deploy_node",
    }  # fmt: skip
    assert {entry.name for entry in scripts} == {"parrot", *nodes}
    for entry in scripts:
        tree = ast.parse((ROOT / f"{entry.module.replace('.', '/')}.py").read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert entry.attr in functions, entry


def test_workspace_links_to_the_root_by_a_relative_path():
    link = ROOT / "parrot_ws" / "src" / "parrot"
    assert os.readlink(link) == "../.."
    assert link.resolve() == ROOT


def test_every_data_file_is_found_after_installation(installed):
    names = data_files()
    assert names
    assert share("package.xml") == ROOT / "package.xml"
    code = f"from parrot.resources import share\nfor name in {names!r}: print(share(*name.split('/')))"
    assert run_installed(installed, code) == [str(installed / "share" / "parrot" / name) for name in names]


def test_installation_marks_the_package_for_ament(installed):
    assert (installed / "share/ament_index/resource_index/packages/parrot").is_file()
    assert (installed / "share/parrot/package.xml").is_file()


def test_installation_holds_the_package_and_nothing_else(installed):
    (site,) = installed.glob("lib*/python*/site-packages")
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"parrot"}
    assert {path.name for path in (installed / "bin").iterdir()} >= {"parrot", "sim_node", "rl_node"}


def test_installed_package_knows_its_version_and_no_commit(installed, manifest):
    code = "import parrot, parrot.provenance; print(parrot.__version__, parrot.provenance.commit())"
    assert run_installed(installed, code) == [f"{manifest.version} unknown"]


def test_missing_data_is_a_users_error():
    with pytest.raises(ConfigError, match="config/no_such_file"):
        share("config", "no_such_file.yaml")


def test_import_registers_environments_without_loading_simulator_or_torch():
    code = (
        "import sys, parrot, gymnasium;"
        "print('parrot/GraspCap-v0' in gymnasium.registry, {'torch', 'pybullet'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True set()\n"


def test_lazy_names_are_the_real_ones():
    from parrot.prior import load_prior
    from parrot.rl import LatentActionWrapper

    assert parrot.load_prior is load_prior
    assert parrot.LatentActionWrapper is LatentActionWrapper
    with pytest.raises(AttributeError, match="no_such_name"):
        parrot.no_such_name  # noqa: B018


def test_a_core_that_is_taken_is_not_idle():
    cores = os.cpu_count()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        time.sleep(0.5)
        assert idle_cores() == 1
    finally:
        for process in busy:
            process.kill()
            process.wait()
