"""A mapper's whole session with the `osmapi` package, unmodified: open a changeset, create, modify, delete, close,
read back; then what must be refused. Usage: session.py URL"""

import sys

import osmapi
import requests

BOX = (20.0, 10.0, 20.01, 10.01)


def expect(error, call):
    try:
        call()
    except error as found:
        return found
    raise SystemExit(f"expected {error.__name__}")


def main(url):
    session = requests.Session()
    session.auth = ("mapper", "no password is asked for on this machine")
    api = osmapi.OsmApi(api=url, appid="osmdb tests", session=session)

    assert float(api.capabilities()["area"]["maximum"]) == 0.25
    before = api.map(*BOX)
    kinds = [item["type"] for item in before]
    assert kinds == sorted(kinds, key=["node", "way", "relation"].index), kinds
    names = {item["data"]["tag"].get("name") for item in before}
    assert {"Main Street", "Font Vella"} <= names, names

    # One at a time.
    changeset = api.changeset_create({"comment": "a well and a path"})
    well = api.node_create({"lat": 10.002, "lon": 20.004, "tag": {"man_made": "water_well"}})
    assert well["version"] == 1 and well["id"] > 0, well
    end = api.node_create({"lat": 10.003, "lon": 20.005, "tag": {}})
    path = api.way_create({"nd": [well["id"], end["id"]], "tag": {"highway": "path"}})
    well["tag"]["name"] = "Pou <Nou> & \"Gran\" 井"
    assert api.node_update(well)["version"] == 2
    found = expect(osmapi.PreconditionFailedApiError, lambda: api.node_delete(dict(end)))
    assert found.status == 412, found
    stale = {**api.node_get(well["id"]), "version": 1}
    found = expect(osmapi.VersionMismatchApiError, lambda: api.node_update(stale))
    assert found.status == 409 and b"Version mismatch: Provided 1, server had: 2 of Node" in found.payload, found.payload
    path["nd"] = [well["id"], 3]
    assert api.way_update(path)["version"] == 2
    assert api.node_delete(dict(end))["id"] == end["id"]
    expect(osmapi.ElementDeletedApiError, lambda: api.node_get(end["id"]))
    expect(osmapi.ElementNotFoundApiError, lambda: api.node_get(987_654_321))
    assert api.changeset_close() == changeset

    # All at once.
    second = api.changeset_create({"comment": "another house"})
    corners = [(10.0070, 20.0070), (10.0070, 20.0072), (10.0072, 20.0072), (10.0072, 20.0070)]
    nodes = [{"id": -n - 1, "lat": lat, "lon": lon, "tag": {}} for n, (lat, lon) in enumerate(corners)]
    # osmapi understands what is answered to one kind and action at a time.
    nodes = api.changeset_upload([{"type": "node", "action": "create", "data": nodes}])[0]["data"]
    house = {"id": -9, "nd": [nodes[n % 4]["id"] for n in range(5)], "tag": {"building": "house"}}
    house = api.changeset_upload([{"type": "way", "action": "create", "data": [house]}])[0]["data"][0]
    assert house["id"] > 0 and house["version"] == 1, house
    full = api.way_full(house["id"])
    assert [item["type"] for item in full].count("node") == 4, full
    api.changeset_close()
    expect(osmapi.NoChangesetOpenError, lambda: api.node_create({"lat": 10, "lon": 20, "tag": {}}))

    # Read back.
    node = api.node_get(well["id"])
    assert node["tag"]["name"] == "Pou <Nou> & \"Gran\" 井" and node["version"] == 2, node
    assert (node["lat"], node["lon"]) == (10.002, 20.004), node
    assert sorted(api.node_history(well["id"])) == [1, 2]
    assert [way["id"] for way in api.node_ways(well["id"])] == [path["id"]]
    assert [item["id"] for item in api.way_relations(1)] == [1]
    assert set(api.nodes_get([1, 2, 3])) == {1, 2, 3}
    first = api.changeset_get(changeset)
    assert first["tag"]["comment"] == "a well and a path" and not first["open"], first
    actions = [(change["action"], change["type"]) for change in api.changeset_download(changeset)]
    assert ("delete", "node") in actions and ("create", "way") in actions, actions
    assert {changeset, second} <= set(api.changesets_get())
    box = {(item["type"], item["data"]["id"]) for item in api.map(*BOX)}
    assert {("node", well["id"]), ("way", path["id"]), ("way", house["id"])} <= box
    assert ("node", end["id"]) not in box

    # Notes.
    note = api.note_create({"lat": 10.004, "lon": 20.004, "text": "is the bridge gone?"})
    api.note_comment(note["id"], "yes")
    api.note_close(note["id"], "mapped")
    assert api.note_get(note["id"])["status"] == "closed"
    assert note["id"] in [item["id"] for item in api.notes_get(*BOX)]
    print(f"osmapi {osmapi.__version__}: a whole session, {len(box)} elements in the box at its end")


if __name__ == "__main__":
    main(sys.argv[1])
