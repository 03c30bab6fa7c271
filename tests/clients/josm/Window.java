import java.awt.Component;
import java.awt.Container;
import java.awt.Dialog;
import java.awt.Rectangle;
import java.awt.Robot;
import java.awt.Toolkit;
import java.io.File;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;

import javax.imageio.ImageIO;
import javax.swing.AbstractButton;
import javax.swing.SwingUtilities;

import org.openstreetmap.josm.command.ChangePropertyCommand;
import org.openstreetmap.josm.data.UndoRedoHandler;
import org.openstreetmap.josm.data.osm.DataSet;
import org.openstreetmap.josm.data.osm.OsmPrimitive;
import org.openstreetmap.josm.data.osm.OsmPrimitiveType;
import org.openstreetmap.josm.gui.MainApplication;
import org.openstreetmap.josm.gui.layer.OsmDataLayer;

/**
 * A mapper's session in JOSM's window: its own menus and dialogs, whose buttons are pressed here. It needs a display
 * (Xvfb will do). Usage: java Window.java URL [DIRECTORY FOR PICTURES]
 */
public final class Window {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final long SPRING = 5;
    private static String url;
    private static File pictures;

    public static void main(String[] args) {
        // JOSM's threads go on: whatever happens here, the program ends with it.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            if (thread.getName().equals("session")) {
                System.exit(1);
            }
        });
        url = args[0];
        pictures = args.length > 1 ? new File(args[1]) : null;
        MainApplication.main(new String[] {
                "--skip-plugins", "--offline=josm_website,certificates", "--geometry=1200x800+0+0",
                "--set=osm-server.url=" + url + "/api", "--set=osm-server.auth-method=basic",
                "--set=osm-server.username=mapper", "--set=osm-server.password=none",
                "--download=10.0,20.0,10.01,20.01",
        });
        new Thread(Window::session, "session").start();
    }

    private static void session() {
        try {
            OsmDataLayer layer = wait("the box is loaded", Window::loaded);
            DataSet data = layer.getDataSet();
            OsmPrimitive spring = data.getPrimitiveById(SPRING, OsmPrimitiveType.NODE);
            wait("nothing is going on", () -> buttons().findAny().isPresent() ? null : layer);
            picture("josm-map");

            int before = spring.getVersion();
            change(data, spring, "drinking_water", "yes", "a spring to drink from");
            press("Upload Changes", "josm-upload");
            wait("the upload is done", () -> spring.getVersion() == before + 1 && !spring.isModified() ? spring : null);
            check(ask("GET", "/api/0.6/node/5", "").contains("drinking_water"), "the server has the tag");

            // Somebody else names the spring; the window, which does not know, gives it another name.
            String changeset = ask("PUT", "/api/0.6/changeset/create", "<osm><changeset/></osm>");
            ask("PUT", "/api/0.6/node/5", "<osm><node id='5' changeset='" + changeset + "' version='" + (before + 1)
                    + "' lat='10.004' lon='20.002'><tag k='natural' v='spring'/><tag k='name' v='Font Nova'/></node></osm>");
            change(data, spring, "name", "Font Freda", "a name");
            press("Upload Changes", null);
            press("Synchronize node", "josm-conflict");
            wait("the conflict is shown", () -> layer.getConflicts().isEmpty() ? null : layer);
            check(layer.getConflicts().size() == 1, "one conflict");
            picture("josm-conflicts");
            System.out.println("JOSM's window: a whole session, one conflict");
            System.exit(0);
        } catch (Exception error) {
            error.printStackTrace();
            picture("josm-failed");
            describe();
            System.exit(1);
        }
    }

    private static OsmDataLayer loaded() {
        if (MainApplication.getMap() == null) {
            return null;
        }
        OsmDataLayer layer = MainApplication.getLayerManager().getEditLayer();
        return layer != null && layer.getDataSet().getPrimitiveById(SPRING, OsmPrimitiveType.NODE) != null ? layer : null;
    }

    /** Changes a tag, and asks for the upload as the menu does; its dialog comes next. */
    private static void change(DataSet data, OsmPrimitive what, String key, String value, String comment)
            throws Exception {
        SwingUtilities.invokeAndWait(() -> {
            UndoRedoHandler.getInstance().add(new ChangePropertyCommand(List.of(what), key, value));
            data.addChangeSetTag("comment", comment);
            data.addChangeSetTag("source", "a test");
        });
        SwingUtilities.invokeLater(() -> MainApplication.getMenu().upload.actionPerformed(null));
    }

    /** Waits for a dialog with such a button, takes a picture of it, and presses it. */
    private static void press(String text, String picture) throws Exception {
        AbstractButton button = wait("a button: " + text, () -> buttons()
                .filter(one -> one.isEnabled() && one.isShowing() && one.getText() != null && one.getText().contains(text))
                .findFirst().orElse(null));
        Thread.sleep(500);
        if (picture != null) {
            picture(picture);
        }
        SwingUtilities.invokeLater(button::doClick);
    }

    private static Stream<AbstractButton> buttons() {
        List<Component> all = new ArrayList<>();
        Arrays.stream(java.awt.Window.getWindows())
                .filter(window -> window instanceof Dialog && window.isShowing())
                .forEach(window -> collect(window, all));
        return all.stream().filter(AbstractButton.class::isInstance).map(AbstractButton.class::cast);
    }

    private static void collect(Component component, List<Component> all) {
        all.add(component);
        if (component instanceof Container) {
            Arrays.stream(((Container) component).getComponents()).forEach(inner -> collect(inner, all));
        }
    }

    /** Says what stands in the way: the dialogs that are open and their buttons. */
    private static void describe() {
        Arrays.stream(java.awt.Window.getWindows()).filter(java.awt.Window::isShowing)
                .forEach(window -> System.err.println(window.getClass() + " "
                        + (window instanceof Dialog ? ((Dialog) window).getTitle() : "")));
        buttons().filter(button -> button.getText() != null)
                .forEach(button -> System.err.println("  " + button.getText()));
    }

    private static <T> T wait(String what, Callable<T> found) throws Exception {
        for (long end = System.nanoTime() + PATIENCE.toNanos(); System.nanoTime() < end; Thread.sleep(100)) {
            List<T> seen = new ArrayList<>();
            SwingUtilities.invokeAndWait(() -> {
                try {
                    seen.add(found.call());
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            if (seen.get(0) != null) {
                return seen.get(0);
            }
        }
        throw new IllegalStateException("in vain waited for: " + what);
    }

    private static String ask(String method, String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path)).header("Content-Type", "text/xml")
                .method(method, BodyPublishers.ofString(body)).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        check(answer.statusCode() == 200, path + ": " + answer.statusCode() + " " + answer.body());
        return answer.body();
    }

    private static void picture(String name) {
        if (pictures == null) {
            return;
        }
        try {
            Rectangle all = new Rectangle(Toolkit.getDefaultToolkit().getScreenSize());
            ImageIO.write(new Robot().createScreenCapture(all), "png", new File(pictures, name + ".png"));
        } catch (Exception error) {
            System.err.println("no picture: " + error);
        }
    }

    private static void check(boolean is, String what) {
        if (!is) {
            throw new IllegalStateException("not so: " + what);
        }
    }
}
