"""A whole session of osmapi, and a map read by osmium, against a server that is running.

    pip install -r requirements.txt
    osmdb --db new.db import monaco.osm.pbf && osmdb --db new.db serve
    python session.py http://127.0.0.1:5000 7.41,43.73,7.43,43.74
"""

import sys
import tempfile
import urllib.request

import osmapi
import osmium
import requests

SERVER, BOX = sys.argv[1], sys.argv[2]
WEST, SOUTH, EAST, NORTH = (float(side) for side in BOX.split(","))


class Counted(osmium.SimpleHandler):
    """Counts what is in a file."""

    def __init__(self):
        super().__init__()
        self.nodes = self.ways = self.relations = 0

    def node(self, _):
        self.nodes += 1

    def way(self, _):
        self.ways += 1

    def relation(self, _):
        self.relations += 1


def refused(error, call, *arguments):
    """Makes a call that must be refused."""
    try:
        call(*arguments)
    except error as refusal:
        return str(refusal)
    raise AssertionError(f"{call} was not refused")


# osmapi writes only with credentials, though a server on this machine asks for none.
session = requests.Session()
session.auth = ("anybody", "anything")
api = osmapi.OsmApi(api=SERVER, session=session)

assert api.capabilities()["area"]["maximum"] == 0.25
changeset = api.changeset_create({"comment": "a session of osmapi"})
first = api.node_create({"lat": SOUTH, "lon": WEST, "tag": {"name": "é <first>"}})
second = api.node_create({"lat": NORTH, "lon": EAST, "tag": {}})
way = api.way_create({"nd": [first["id"], second["id"]], "tag": {"highway": "path"}})
member = {"type": "way", "ref": way["id"], "role": "side"}
relation = api.relation_create({"member": [member], "tag": {"type": "route"}})

read = api.node_get(first["id"])
assert read["tag"] == {"name": "é <first>"} and read["version"] == 1, read
newer = api.node_update({**read, "lat": NORTH})
assert newer["version"] == 2
assert list(api.node_history(first["id"])) == [1, 2]
assert "Provided 1, server had: 2" in refused(osmapi.errors.VersionMismatchApiError, api.node_update, {**read, "version": 1})
assert "still used by ways" in refused(osmapi.errors.PreconditionFailedApiError, api.node_delete, newer)
refused(osmapi.errors.ElementNotFoundApiError, api.node_get, 1)

assert [found["id"] for found in api.node_ways(first["id"])] == [way["id"]]
assert [found["id"] for found in api.way_relations(way["id"])] == [relation["id"]]
assert len(api.way_full(way["id"])) == 3
assert any(found["data"]["id"] == way["id"] for found in api.map(WEST, SOUTH, EAST, NORTH))
api.changeset_upload([{"type": "node", "action": "create", "data": [{"id": -1, "lat": SOUTH, "lon": EAST, "tag": {}}]}])

for delete, element in [(api.relation_delete, relation), (api.way_delete, way), (api.node_delete, newer)]:
    delete(element)
refused(osmapi.errors.ElementDeletedApiError, api.node_get, first["id"])
assert api.changeset_get(changeset)["open"]
api.changeset_close()
assert not api.changeset_get(changeset)["open"]
assert len(api.changeset_download(changeset)) == 9
refused(osmapi.errors.NoChangesetOpenError, api.node_create, {"lat": 0, "lon": 0, "tag": {}})

note = api.note_create({"lat": SOUTH, "lon": WEST, "text": "is this so?"})
assert api.note_close(note["id"], "it is")["status"] == "closed"

with tempfile.NamedTemporaryFile(suffix=".osm") as file:
    with urllib.request.urlopen(f"{SERVER}/api/0.6/map?bbox={BOX}") as answer:
        file.write(answer.read())
    file.flush()
    counted = Counted()
    counted.apply_file(file.name)
assert counted.nodes > 0 and counted.ways > 0
print(f"done: {counted.nodes} nodes, {counted.ways} ways, {counted.relations} relations in the box")
