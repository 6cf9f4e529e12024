#!/usr/bin/env python3
"""A reverse proxy in front of AWS' APIs that injects faults: faultproxy.py PORT UPSTREAM RULES

RULES is JSON, one list: {"target": "PutRecords", "every": 3, KIND: …} does on every third request whose
X-Amz-Target, or "METHOD /path", contains the target:
  "status": 503, "type": "…"   refuse without forwarding
  "lose": true                 forward, then drop the connection: done, but its reply is lost
  "partial": 1                 forward, then call the first N records of PutRecords failed
"""
import http.client, http.server, json, sys, threading, urllib.parse

PORT, UPSTREAM, RULES = int(sys.argv[1]), urllib.parse.urlsplit(sys.argv[2]), json.loads(sys.argv[3])
seen, lock = [0] * len(RULES), threading.Lock()


def due(target):
    """The fault that is this request's turn, if any."""
    with lock:
        hit = None
        for i, rule in enumerate(RULES):
            if rule["target"] in target:
                seen[i] += 1
                if seen[i] % rule["every"] == 0:
                    hit = hit or rule
        return hit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def go(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        hit = due(self.headers.get("x-amz-target") or f"{self.command} {self.path}")
        if hit and "status" in hit:
            text = json.dumps({"__type": hit["type"], "message": "injected"}).encode()
            return self.reply(hit["status"], [("x-amzn-errortype", hit["type"])], text)
        upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=60)
        upstream.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "connection"})
        answer = upstream.getresponse()
        text = answer.read()
        if hit and "lose" in hit:
            self.close_connection = True
            return
        if hit and "partial" in hit:
            doc = json.loads(text)
            for record in doc["Records"][: hit["partial"]]:
                record.clear()
                record.update(ErrorCode="ProvisionedThroughputExceededException", ErrorMessage="injected")
            doc["FailedRecordCount"] = hit["partial"]
            text = json.dumps(doc).encode()
        dropped = ("content-length", "transfer-encoding", "connection")
        length = answer.getheader("content-length")
        self.reply(answer.status, [(k, v) for k, v in answer.getheaders() if k.lower() not in dropped], text, length)

    def reply(self, status, headers, text, length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", length if self.command == "HEAD" and length else str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = go


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
