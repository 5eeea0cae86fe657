// SPDX-License-Identifier: BSD-2-Clause

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** An HTTP server on port 8000 by the JDK's own, with a few threads. */
public class Serve {
    public static void main(String[] arguments) throws Exception {
        byte[] page = "out of a stone\n".getBytes();
        HttpServer server = HttpServer.create(new InetSocketAddress(8000), 64);

        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, page.length);
            exchange.getResponseBody().write(page);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
