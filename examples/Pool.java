/* A pool that forgets the connections of clients that have gone, as pool.py does.
 *
 *     sockleak run --grace=200ms -- java examples/Pool.java
 */
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

public class Pool {
    final List<Socket> connections = new ArrayList<>();

    Socket take(ServerSocket listener) throws Exception {
        Socket connection = listener.accept();
        connections.add(connection);
        return connection;
    }

    void serve(ServerSocket listener) throws Exception {
        Socket connection = take(listener);
        while (connection.getInputStream().read() >= 0)
            continue; // takes what comes
        // and connection?  The list has it still.
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("expect close-wait eof-read 3 accept Pool.take Pool.java:15");
        Pool pool = new Pool();
        ServerSocket listener = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        for (int i = 0; i < 3; i++)
            try (Socket client = new Socket(listener.getInetAddress(), listener.getLocalPort())) {
                client.getOutputStream().write("GET /".getBytes());
                client.shutdownOutput();
                pool.serve(listener);
            }
        listener.close();
        Thread.sleep(1500);
    }
}
