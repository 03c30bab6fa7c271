import java.net.Authenticator.RequestorType;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.util.List;

import org.openstreetmap.josm.data.APIDataSet;
import org.openstreetmap.josm.data.Bounds;
import org.openstreetmap.josm.data.Preferences;
import org.openstreetmap.josm.data.conflict.ConflictCollection;
import org.openstreetmap.josm.data.coor.LatLon;
import org.openstreetmap.josm.data.osm.Changeset;
import org.openstreetmap.josm.data.osm.DataSet;
import org.openstreetmap.josm.data.osm.DataSetMerger;
import org.openstreetmap.josm.data.osm.Node;
import org.openstreetmap.josm.data.osm.OsmPrimitive;
import org.openstreetmap.josm.data.osm.OsmPrimitiveType;
import org.openstreetmap.josm.data.osm.SimplePrimitiveId;
import org.openstreetmap.josm.data.osm.Way;
import org.openstreetmap.josm.data.osm.history.HistoryDataSet;
import org.openstreetmap.josm.data.preferences.JosmBaseDirectories;
import org.openstreetmap.josm.data.preferences.JosmUrls;
import org.openstreetmap.josm.data.projection.ProjectionRegistry;
import org.openstreetmap.josm.data.projection.Projections;
import org.openstreetmap.josm.gui.progress.NullProgressMonitor;
import org.openstreetmap.josm.gui.progress.ProgressMonitor;
import org.openstreetmap.josm.io.BoundingBoxDownloader;
import org.openstreetmap.josm.io.ChangesetClosedException;
import org.openstreetmap.josm.io.MultiFetchServerObjectReader;
import org.openstreetmap.josm.io.OsmApi;
import org.openstreetmap.josm.io.OsmApiException;
import org.openstreetmap.josm.io.OsmServerHistoryReader;
import org.openstreetmap.josm.io.OsmServerWriter;
import org.openstreetmap.josm.io.UploadStrategy;
import org.openstreetmap.josm.io.UploadStrategySpecification;
import org.openstreetmap.josm.io.auth.CredentialsManager;
import org.openstreetmap.josm.spi.preferences.Config;
import org.openstreetmap.josm.tools.Http1Client;
import org.openstreetmap.josm.tools.HttpClient;

/** A mapper's whole session with JOSM's own classes, without its window. Usage: java Session.java URL */
public final class Session {
    private static final ProgressMonitor QUIET = NullProgressMonitor.INSTANCE;
    private static final Bounds BOX = new Bounds(10.0, 20.0, 10.01, 20.01);

    public static void main(String[] args) throws Exception {
        Preferences.main().enableSaveOnPut(false);
        Config.setPreferencesInstance(Preferences.main());
        HttpClient.setFactory(Http1Client::new);
        Config.setBaseDirectoriesProvider(JosmBaseDirectories.getInstance());
        Config.setUrlsProvider(JosmUrls.getInstance());
        ProjectionRegistry.setProjection(Projections.getProjectionByCode("EPSG:3857"));
        Config.getPref().put("osm-server.url", args[0] + "/api");
        Config.getPref().put("osm-server.auth-method", "basic");
        CredentialsManager.getInstance().store(RequestorType.SERVER, URI.create(args[0]).getHost(),
                new PasswordAuthentication("mapper", "no password is asked for on this machine".toCharArray()));
        OsmApi api = OsmApi.getOsmApi();
        api.initialize(QUIET);

        DataSet data = download();
        DataSet old = download();
        Way street = data.getWays().stream().filter(way -> "Main Street".equals(way.get("name"))).findFirst().get();
        Node spring = data.getNodes().stream().filter(node -> node.hasTag("natural", "spring")).findFirst().get();
        long springId = spring.getId();

        // Two new nodes, a new way between them, and a street that goes on; a tag; all in one request.
        Node one = new Node(new LatLon(10.0061, 20.0071));
        Node two = new Node(new LatLon(10.0062, 20.0082));
        Way lane = new Way();
        data.addPrimitive(one);
        data.addPrimitive(two);
        lane.setNodes(List.of(street.lastNode(), one, two));
        lane.put("highway", "service");
        data.addPrimitive(lane);
        spring.put("drinking_water", "yes");
        spring.setModified(true);
        long changeset = upload(api, data, "a lane from the end of the street");
        check(lane.getId() > 0 && one.getId() > 0 && !lane.isModified(), "the lane has its number");
        check(spring.getVersion() == 3, "the spring is version 3");

        // Deleted again: the way before its nodes.
        lane.setDeleted(true);
        one.setDeleted(true);
        two.setDeleted(true);
        upload(api, data, "no lane after all");

        // Somebody who still has the map of before changes the spring.
        Node stale = (Node) old.getPrimitiveById(springId, OsmPrimitiveType.NODE);
        stale.put("name", "another name");
        stale.setModified(true);
        try {
            upload(api, old, "from an old map");
            throw new IllegalStateException("an old version must be refused");
        } catch (OsmApiException refused) {
            check(refused.getResponseCode() == 409, "a conflict");
            check(refused.getErrorHeader().equals("Version mismatch: Provided 2, server had: 3 of Node " + springId),
                    "the text that JOSM reads: " + refused.getErrorHeader());
        }
        // What JOSM does then: it asks for the newer version, merges, and shows the conflict.
        MultiFetchServerObjectReader fetch = MultiFetchServerObjectReader.create();
        fetch.append(List.of(stale));
        DataSetMerger merger = new DataSetMerger(old, fetch.parseOsm(QUIET));
        merger.merge();
        ConflictCollection conflicts = merger.getConflicts();
        check(conflicts.size() == 1, "one conflict is shown, found " + conflicts.size());

        // The history of the spring, and the changeset.
        HistoryDataSet history =
                new OsmServerHistoryReader(OsmPrimitiveType.NODE, springId).parseHistory(QUIET);
        int versions = history.getHistory(new SimplePrimitiveId(springId, OsmPrimitiveType.NODE)).getNumVersions();
        check(versions >= 2, "the spring has a history of " + versions);
        try {
            api.closeChangeset(new Changeset((int) changeset), QUIET);
            throw new IllegalStateException("a closed changeset must be refused");
        } catch (ChangesetClosedException closed) {
            check(closed.getChangesetId() == changeset, "JOSM understands that it is closed");
        }
        System.out.println("JOSM: a whole session, " + data.allPrimitives().size() + " elements in the box");
    }

    private static DataSet download() throws Exception {
        return new BoundingBoxDownloader(BOX).parseOsm(QUIET);
    }

    private static long upload(OsmApi api, DataSet data, String comment) throws Exception {
        APIDataSet changes = new APIDataSet(data);
        changes.adjustRelationUploadOrder();
        Changeset changeset = new Changeset();
        changeset.put("comment", comment);
        api.openChangeset(changeset, QUIET);
        try {
            UploadStrategySpecification how =
                    new UploadStrategySpecification().setStrategy(UploadStrategy.SINGLE_REQUEST_STRATEGY);
            OsmServerWriter writer = new OsmServerWriter();
            writer.uploadOsm(how, changes.getPrimitives(), changeset, QUIET);
            data.clearSelection();
            writer.getProcessedPrimitives().forEach(done -> ((OsmPrimitive) done).setModified(false));
        } finally {
            api.closeChangeset(changeset, QUIET);
        }
        return changeset.getId();
    }

    private static void check(boolean is, String what) {
        if (!is) {
            throw new IllegalStateException("not so: " + what);
        }
    }
}
