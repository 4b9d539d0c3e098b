"""What colcon reads, with any setuptools since 59.6 (Humble). The dependencies stand in pyproject.toml."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "parrot"
DATA_FOLDERS = ("launch", "config", "sim", "models")
NODES = (
    "sim_node", "prior_node", "rl_node", "recorder_node", "teleop_node",
    "camera_node", "arm_node", "operator_node", "emulated_arm_node",
    "policy_node", "deploy_node",
)  # fmt: skip

package_xml = ElementTree.parse(Path(__file__).resolve().parent / "package.xml")


def data_files() -> list[tuple[str, list[str]]]:
    """The ament index marker, package.xml and every file of the data folders, below share/."""
    found = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ]
    for top in DATA_FOLDERS:
        for folder, subfolders, files in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
            paths = [f"{folder}/{name}" for name in sorted(files) if not name.startswith(".")]
            if paths:
                found.append((f"share/{NAME}/{folder}", paths))
    return found


setup(
    name=NAME,
    version=package_xml.findtext("version"),
    description=package_xml.findtext("description"),
    maintainer=package_xml.findtext("maintainer"),
    maintainer_email=package_xml.find("maintainer").get("email"),
    license=package_xml.findtext("license"),
    # Here and not in pyproject.toml: from there setuptools makes an object of it that colcon cannot read.
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=data_files(),
    zip_safe=False,
    entry_points={
        "console_scripts": [f"{NAME} = parrot.cli:main", *(f"{node} = parrot.nodes.{node}:main" for node in NODES)],
    },
)
