"""The catalogue: enough objects, none of a test category in training, light to draw, standing by themselves."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pybullet
import pytest
import trimesh
from PIL import Image

from parrot.errors import ConfigError
from parrot.sim.objects import Interior, load_catalogue
from parrot.sim.objects.shapes import HULL_VERTICES, SHAPES
from parrot.sim.objects.textures import PATTERNS, TEXTURE_SIZE

CATALOGUE = load_catalogue()
NAMES = list(CATALOGUE.objects)
GRASPABLE = [o.name for o in CATALOGUE.select(role="graspable")]
PLACES = [n for n in NAMES if n not in GRASPABLE]
GRIPPER = 0.085
"""Opening of the xArm gripper, m."""
FINGER = 0.008
"""Half the height of the finger's pad that must find something to press on, m."""


@pytest.fixture
def client():
    number = pybullet.connect(pybullet.DIRECT)
    yield number
    pybullet.disconnect(number)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A cache that tests may damage: folders of links, so that the catalogue need not be made again for each."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "objects").mkdir()
    for model in CATALOGUE.objects.values():
        folder = model.collisions[0].parent
        (cache / "objects" / folder.name).symlink_to(folder, target_is_directory=True)
    monkeypatch.setenv("PARROT_CACHE", str(cache))
    return cache


def hull(path):
    return trimesh.load(path, process=True)


def collision_points(model):
    return [np.asarray(hull(path).vertices) for path in model.collisions]


# What there is ------------------------------------------------------------------------------------------------------


def test_there_are_at_least_sixty_everyday_objects_beside_the_random_ones():
    assert sum(o.category != "misc" for o in CATALOGUE.select(role="graspable")) >= 60
    assert len(CATALOGUE.select(category="misc", split="train")) >= 12
    assert len({o.category for o in CATALOGUE.select(split="train", role="graspable")}) >= 10


def test_no_category_is_in_both_splits():
    train, test = ({o.category for o in CATALOGUE.select(split=s)} for s in ("train", "test"))
    assert train and test
    assert not train & test


def test_test_objects_are_the_papers():
    assert {o.category for o in CATALOGUE.select(split="test", role="graspable")} == {
        "can", "vase", "cap", "mug", "chair"
    }  # fmt: skip
    places = {o.category for o in CATALOGUE.select(split="test") if o.role != "graspable"}
    assert places == {"pan", "basket", "checkerboard", "cube"}


def test_training_has_things_to_put_into_and_onto():
    assert len(CATALOGUE.select(split="train", role="container")) >= 3
    assert len(CATALOGUE.select(split="train", role="target")) >= 3


def test_words_for_test_objects_name_no_training_object():
    novel = {"can", "vase", "cap", "mug", "chair", "pan", "basket", "checkerboard", "cube"}
    assert not [o.name for o in CATALOGUE.select(split="train") if novel & set(o.name.split("_"))]


def test_an_unknown_object_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'soda_cann' is not in the catalogue; choose from soda_can, "):
        CATALOGUE["soda_cann"]


# What each is like --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_is_light_to_draw_and_its_surface_faces_outwards(name):
    model = CATALOGUE[name]
    drawn = 0
    volume = 0.0
    for visual in model.visuals:
        mesh = trimesh.load(visual.path, process=False)
        drawn += len(mesh.faces)
        corners = np.asarray(mesh.triangles)
        volume += np.einsum("ni,ni", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert drawn == model.triangles <= 250
    # Bands and inserts are open surfaces, so only the sum over all paints is the volume of something.
    assert volume > 0.2 * trimesh.util.concatenate([hull(p) for p in model.collisions]).volume


@pytest.mark.parametrize("name", NAMES)
def test_its_collision_parts_are_convex_and_few(name):
    model = CATALOGUE[name]
    assert 1 <= len(model.collisions) <= (6 if model.role == "graspable" else 16)
    for path in model.collisions:
        mesh = hull(path)
        assert mesh.is_watertight
        assert len(mesh.vertices) <= HULL_VERTICES
        assert mesh.convex_hull.volume == pytest.approx(mesh.volume, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_it_stands_by_itself_and_is_as_large_as_it_says(name, client):
    model = CATALOGUE[name]
    pybullet.setGravity(0, 0, -9.81, physicsClientId=client)
    table = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[1, 1, 0.05], physicsClientId=client)
    pybullet.createMultiBody(0, table, -1, [0, 0, -0.05], physicsClientId=client)
    shape = pybullet.createCollisionShapeArray(
        shapeTypes=[pybullet.GEOM_MESH] * len(model.collisions),
        fileNames=[str(p) for p in model.collisions],
        physicsClientId=client,
    )
    body = pybullet.createMultiBody(
        model.mass, shape, -1, [0, 0, 0.01], baseInertialFramePosition=model.centre_of_mass, physicsClientId=client
    )
    low, high = map(np.array, pybullet.getAABB(body, physicsClientId=client))
    # Bullet adds a margin of 1 mm around hulls and boxes; what only the eye sees may stand out a little.
    assert high - low == pytest.approx(np.array(model.size), abs=0.012)
    assert high[2] - low[2] == pytest.approx(model.size[2], abs=0.006)
    for _ in range(240):
        pybullet.stepSimulation(physicsClientId=client)
    position, orientation = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    matrix = np.reshape(pybullet.getMatrixFromQuaternion(orientation), (3, 3))
    base = np.array(position) - matrix @ model.centre_of_mass
    assert np.degrees(np.arccos(min(matrix[2, 2], 1))) < 3
    assert np.abs(base) == pytest.approx(0, abs=0.005)
    assert np.linalg.norm(pybullet.getBaseVelocity(body, physicsClientId=client)[0]) < 0.01


@pytest.mark.parametrize("name", GRASPABLE)
def test_the_gripper_fits_around_it(name):
    model = CATALOGUE[name]
    assert 0.03 <= model.mass <= 0.1
    assert 0.012 <= model.grasp_height <= model.size[2] - FINGER
    angles = np.radians(np.arange(0, 180, 15)) if model.grasp_yaw is None else [model.grasp_yaw]
    for angle in angles:
        across = np.array([np.cos(angle), np.sin(angle)])
        width = width_between_fingers(model, across)
        assert 0.020 <= width <= 0.064, f"{np.degrees(angle):.0f} degrees"


def width_between_fingers(model, across):
    """Extent along the closing direction of what lies in a finger's width and height around the grasp point."""
    along = np.array([-across[1], across[0]])
    x, y, z = np.meshgrid(np.arange(-0.06, 0.0601, 0.002), [-0.009, 0, 0.009], [-FINGER, 0, FINGER], indexing="ij")
    points = np.stack([*(np.multiply.outer(across, x) + np.multiply.outer(along, y)), z], axis=-1).reshape(-1, 3)
    points += (*model.grasp_xy, model.grasp_height)
    inside = np.zeros(len(points), bool)
    for path in model.collisions:
        mesh = hull(path)
        inside |= ((points @ mesh.face_normals.T - (mesh.face_normals * mesh.triangles[:, 0]).sum(1)) <= 0).all(1)
    at = x.ravel()[inside]
    return np.ptp(at) if len(at) else 0.0


@pytest.mark.parametrize("name", PLACES)
def test_there_is_room_above_its_floor(name):
    model = CATALOGUE[name]
    inside = model.interior
    assert 0 <= inside.floor_height <= inside.top_height <= model.size[2] + 1e-6
    assert inside.contains(0, 0)
    half = inside.half_extents or (inside.radius / 2**0.5,) * 2
    assert min(half) >= 0.035
    assert not inside.contains(1.5 * max(half), 1.5 * max(half))
    for points in collision_points(model):
        mesh = trimesh.convex.convex_hull(points)
        if points[:, 2].max() <= inside.floor_height + 1e-4:
            continue
        # Nothing solid just above the floor, well inside the walls.
        grid = np.array([[x * half[0], y * half[1]] for x in (-0.75, 0, 0.75) for y in (-0.75, 0, 0.75)])
        above = np.column_stack([grid, np.full(9, inside.floor_height + 0.002)])
        offset = (mesh.face_normals * mesh.triangles[:, 0]).sum(1)
        assert not ((above @ mesh.face_normals.T) <= offset).all(1).any()


def test_interiors_are_discs_or_rectangles():
    disc, rectangle = Interior(0.0, 0.02, radius=0.1), Interior(0.0, 0.02, half_extents=(0.1, 0.05))
    assert disc.contains(0.07, 0.07)
    assert not disc.contains(0.08, 0.08)
    assert rectangle.contains(-0.09, 0.04)
    assert not rectangle.contains(0.0, 0.06)


def test_textures_are_small_pictures():
    paths = [v.texture for o in CATALOGUE.objects.values() for v in o.visuals if v.texture]
    assert len(paths) >= 8
    for path in paths:
        assert Image.open(path).size == (TEXTURE_SIZE, TEXTURE_SIZE)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_show_both_colours(pattern):
    pixels = PATTERNS[pattern](np.array([[1.0, 0, 0], [0, 0, 1.0]]), 4)
    assert pixels.shape == (TEXTURE_SIZE, TEXTURE_SIZE, 3)
    assert pixels[..., 0].max() > 0.6
    assert pixels[..., 2].max() > 0.6


@pytest.mark.parametrize(
    ("shape", "parameters", "volume"),
    [
        ("box", {"size": [2, 3, 4]}, 24),
        ("box", {"size": [2, 2, 3], "taper": 0}, 4),
        ("cylinder", {"radius": 2, "height": 3, "sides": 200}, 12 * np.pi),
        ("ball", {"radius": 3, "latitudes": [-90, 90], "rings": 100, "sides": 100}, 36 * np.pi),
        ("prism", {"outline": [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], "height": 2}, 6),
        ("torus", {"radius": 10, "thick": 1, "sides": 100, "thick_sides": 50}, 20 * np.pi**2),
        ("tube", {"path": [[0, 0, 0], [0, 0, 5]], "radius": 1, "sides": 100}, 5 * np.pi),
        ("rim", {"size": [10, 10], "thick": 1, "height": 2}, 88),
        ("lathe", {"profile": [[0, 0], [2, 0], [2, 2], [1, 2], [1, 1], [0, 1]], "sides": 200}, 7 * np.pi),
    ],
)
def test_shapes_have_the_volume_of_their_formula(shape, parameters, volume):
    triangles = np.concatenate([p.triangles for p in SHAPES[shape](color="red", **parameters).patches])
    found = np.einsum("ni,ni", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    assert found == pytest.approx(volume, rel=0.01)


# The cache ----------------------------------------------------------------------------------------------------------


def test_a_cached_catalogue_loads_fast_and_without_trimesh():
    load = (
        "import json, sys, time, numpy, yaml, pybullet_data\n"
        "from parrot.sim.objects import load_catalogue\n"
        "start = time.process_time()\n"
        "digest = load_catalogue().digest\n"
        "print(json.dumps([time.process_time() - start, 'trimesh' in sys.modules, digest]))"
    )
    out = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True).stdout
    seconds, heavy, digest = json.loads(out.splitlines()[-1])
    assert seconds < 0.3
    assert not heavy
    assert digest == CATALOGUE.digest


def user_file(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "objects.yaml"
    path.write_text(text)
    return path


BLOCK = (
    "- {name: mine, category: brick, split: train, mass: 50, "
    "parts: [{shape: box, color: '#ff0000', size: [40, 40, 40]}]}"
)


def _load(cache: str, path: Path, queue) -> None:
    import os

    os.environ["PARROT_CACHE"] = cache
    queue.put(all(p.exists() for o in load_catalogue([path]).objects.values() for p in o.collisions))


def test_processes_that_start_together_share_one_cache(tmp_path, own_cache):
    path = user_file(tmp_path / "mine", f"objects:\n{BLOCK}\n")
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for made in list((own_cache / "objects").iterdir())[::4]:
        made.unlink()
    workers = [context.Process(target=_load, args=(str(own_cache), path, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=100) for _ in workers] == [True] * 3
    for worker in workers:
        worker.join()
    folders = list((own_cache / "objects").iterdir())
    assert len(folders) == len(NAMES) + 1
    assert not [f for f in folders if f.name.startswith(".")]


def test_a_damaged_file_is_made_again(tmp_path):
    path = user_file(tmp_path, f"objects:\n{BLOCK}\n")
    mesh = load_catalogue([path])["mine"].collisions[0]
    whole = mesh.read_bytes()
    mesh.write_bytes(whole[:10])
    assert load_catalogue([path])["mine"].collisions[0].read_bytes() == whole


def test_the_digest_follows_every_definition(tmp_path):
    path = user_file(tmp_path, f"objects:\n{BLOCK}\n")
    first = load_catalogue([path]).digest
    assert first != CATALOGUE.digest
    assert load_catalogue([path]).digest == first
    user_file(tmp_path, f"objects:\n{BLOCK}\n".replace("mass: 50", "mass: 51"))
    assert load_catalogue([path]).digest != first


# A user's own objects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("collide", "parts"), [("hull", 1), ("groups", 2), ("parts", 2)])
def test_a_folder_of_own_meshes_joins_the_catalogue(tmp_path, collide, parts):
    # A y-up letter L of two boxes, in metres, as ShapeNet would have it.
    foot = trimesh.creation.box([1.0, 0.5, 0.5], trimesh.transformations.translation_matrix([0.5, 0.25, 0]))
    stem = trimesh.creation.box([0.5, 1.5, 0.5], trimesh.transformations.translation_matrix([0.25, 1.25, 0]))
    (tmp_path / "ell.obj").write_text(
        "".join(
            f"o {name}\n"
            + "".join("v {} {} {}\n".format(*v) for v in mesh.vertices)
            + "".join("f {} {} {}\n".format(*(f + start)) for f in mesh.faces)
            for name, mesh, start in (("foot", foot, 1), ("stem", stem, 9))
        )
    )
    user_file(
        tmp_path,
        "objects:\n- {name: ell, category: letter, split: train, mass: 50, grasp: {height: 30, across: 90},\n"
        f"   mesh: {{file: ell.obj, height: 80, turn: [90, 0, 0], color: '#00ff00', collide: {collide}}}}}\n",
    )
    model = load_catalogue([tmp_path])["ell"]
    assert model.size == pytest.approx((0.04, 0.02, 0.08), abs=1e-5)
    assert len(model.collisions) == parts
    assert model.visuals[0].rgba == (0, 1, 0, 1)
    assert model.grasp_yaw == pytest.approx(np.pi / 2)
    if collide != "hull":  # the corner between foot and stem is free
        assert sum(hull(p).volume for p in model.collisions) < 0.9 * hull(model.visuals[0].path).convex_hull.volume


def test_fine_meshes_are_decimated(tmp_path):
    trimesh.creation.icosphere(4).export(tmp_path / "globe.obj")
    user_file(
        tmp_path,
        "objects:\n- {name: globe, category: globe, split: test, mass: 50,\n"
        "   mesh: {file: globe.obj, height: 60, color: '#0000ff', faces: 120}}\n",
    )
    model = load_catalogue([tmp_path])["globe"]
    assert 60 <= model.triangles <= 120
    assert model.size == pytest.approx((0.06,) * 3, abs=0.005)
    assert len(hull(model.collisions[0]).vertices) <= HULL_VERTICES


WRONG = [
    ("objects: [", "not YAML"),
    ("things: []", "no list 'objects'"),
    ("objects:\n- {category: brick}", "object number 1 has no name"),
    (BLOCK.replace("split: train", "split: val"), "'mine': split 'val'; choose from train, test"),
    (BLOCK.replace("mass: 50", "mass: heavy"), "'mine': mass 'heavy'; give grams"),
    (BLOCK.replace("mass: 50", "mass: 50, colour: 1"), "'mine': unknown key 'colour'"),
    (BLOCK.replace("mass: 50", "mass: 50, grasp: {height: low}"), "'mine': grasp: height 'low'; give a number"),
    (BLOCK.replace("mass: 50", "mass: 50, role: container"), "'mine': 'interior' is for containers and targets"),
    (BLOCK.replace("shape: box", "shape: bax"), "'mine', part 1: shape 'bax'; choose from lathe, cylinder"),
    (BLOCK.replace("size: [40, 40, 40]", "siz: 3"), r"'mine', part 1 \(box\): unknown key 'siz'"),
    (BLOCK.replace(", size: [40, 40, 40]", ""), r"'mine', part 1 \(box\): 'size' is missing"),
    (BLOCK.replace("[40, 40, 40]", "[40, 40]"), "'mine': cannot be built"),
    (BLOCK.replace("[40, 40, 40]", "[40, 40, 0]"), "'mine': cannot be built"),
    (BLOCK.replace("'#ff0000'", "redish"), "'redish' is not a colour"),
    (BLOCK.replace("mine", "soda_can"), "'soda_can' has the name of another object"),
    (BLOCK.replace("brick", "mug"), "category 'mug' in split 'train', but .*coffee_mug.* 'test'"),
    (
        "- {name: mine, category: brick, split: train, mass: 50, mesh: {file: no.obj, height: 3, color: '#ffffff'}}",
        r"'mine': mesh file .*no.obj does not exist",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_object_file_gets_one_line_that_names_the_fault(tmp_path, text, message):
    text = text if text.startswith(("objects", "things")) else f"objects:\n{text}\n"
    with pytest.raises(ConfigError, match=message) as error:
        load_catalogue([user_file(tmp_path, text)])
    assert "\n" not in str(error.value)
    assert "objects.yaml" in str(error.value)


def test_a_missing_object_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.*objects\.yaml|none.*cannot be read"):
        load_catalogue([tmp_path / "none"])


def test_a_file_that_is_no_mesh_is_named(tmp_path):
    (tmp_path / "note.obj").write_text("hello")
    text = (
        "objects:\n- {name: n, category: c, split: train, mass: 1, mesh: {file: note.obj, height: 3, color: '#ffffff'}}"
    )
    with pytest.raises(ConfigError, match=r"'n': cannot be built: .*note\.obj"):
        load_catalogue([user_file(tmp_path, text)])
