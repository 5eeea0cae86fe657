# SPDX-License-Identifier: BSD-2-Clause
#
# The web server of answer.bench and nginx.bench: Debian's nginx with a small and a large file, one process, files from the ext4 root.

WEB_PORT=80

# web_serve: an nginx in a guest, from its start to its first answer.
web_serve() {
    mkdir -p "$WORK/www"
    yes small | head -c 1024 > "$WORK/www/small"
    yes large | head -c 10485760 > "$WORK/www/large"
    cat > "$WORK/nginx.conf" <<X
daemon off;
master_process off;
error_log stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen $WEB_PORT; root /www; }
}
X
    serve $WEB_PORT 'GET /small HTTP/1.0\r\n\r\n' --package nginx-light --add "$WORK/www:/www" --add "$WORK/nginx.conf:/nginx.conf" -- nginx -c /nginx.conf
}
