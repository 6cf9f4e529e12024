#!/usr/bin/env python3
"""A reverse proxy in front of AWS' APIs that injects faults: faultproxy.py PORT UPSTREAM RULES [SEED]

RULES is JSON, one list: {"target": "PutRecords", "every": 3, KIND: …} does on every third request whose
X-Amz-Target, or "METHOD /path", contains the target ("percent": 20 instead of "every": on so many at random):
  "status": 503, "type": "…"   refuse without forwarding
  "lose": true                 forward, then drop the connection: done, but its reply is lost
  "late": 6                    forward, then answer after so many seconds: done, but the caller waits in vain
  "cut": true                  forward, then break the answer off half-way
  "partial": 1                 forward the records of PutRecords but the first N, and call these failed
  "reject": 1                  forward the records of WriteRecords but the first N, and reject these
"""
import http.client, http.server, json, random, sys, threading, time, urllib.parse

PORT, UPSTREAM, RULES = int(sys.argv[1]), urllib.parse.urlsplit(sys.argv[2]), json.loads(sys.argv[3])
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 0
seen, lock, dice = [0] * len(RULES), threading.Lock(), random.Random(SEED)


def due(target):
    """The fault that is this request's turn, if any."""
    with lock:
        hit = None
        for i, rule in enumerate(RULES):
            if rule["target"] in target:
                seen[i] += 1
                if (seen[i] % rule["every"] == 0) if "every" in rule else dice.random() * 100 < rule["percent"]:
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
            fault, headers = {"__type": hit["type"], "message": "injected"}, [("x-amzn-errortype", hit["type"])]
            if self.headers.get("smithy-protocol") == "rpc-v2-cbor":  # CloudWatch's
                import cbor2
                headers += [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")]
                return self.reply(hit["status"], headers, cbor2.dumps(fault))
            return self.reply(hit["status"], headers, json.dumps(fault).encode())
        failed = 0
        if hit and "partial" in hit:
            doc = json.loads(body)
            failed = min(hit["partial"], len(doc["Records"]))
            doc["Records"] = doc["Records"][failed:]
            body = json.dumps(doc).encode()
            refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "injected"}
            if not doc["Records"]:
                doc = {"FailedRecordCount": failed, "Records": [refused] * failed}
                return self.reply(200, [("content-type", "application/x-amz-json-1.1")], json.dumps(doc).encode())
        if hit and "reject" in hit:
            doc = json.loads(body)
            rejected = doc["Records"][: hit["reject"]]
            doc["Records"] = doc["Records"][hit["reject"] :]
            body = json.dumps(doc).encode()
        upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "content-length")}
        upstream.request(self.command, self.path, body, dict(headers, **{"content-length": str(len(body))}))
        answer = upstream.getresponse()
        text = answer.read()
        if hit and "lose" in hit:
            self.close_connection = True
            return
        if hit and "late" in hit:
            time.sleep(hit["late"])
        if hit and "reject" in hit and answer.status == 200:
            kind = "RejectedRecordsException"
            reasons = [{"RecordIndex": i, "Reason": "injected"} for i in range(len(rejected))]
            text = json.dumps({"__type": kind, "Message": "injected", "RejectedRecords": reasons}).encode()
            return self.reply(419, [("content-type", "application/x-amz-json-1.0")], text)
        if failed and answer.status == 200:
            doc = json.loads(text)
            doc["Records"] = [refused] * failed + doc["Records"]
            doc["FailedRecordCount"] = doc.get("FailedRecordCount", 0) + failed
            text = json.dumps(doc).encode()
        dropped = ("content-length", "transfer-encoding", "connection")
        # What a HEAD would have answered with.
        length = answer.getheader("content-length") if self.command == "HEAD" else None
        if hit and "cut" in hit and len(text) > 1:
            self.close_connection = True
            length, text = str(len(text)), text[: len(text) // 2]
        self.reply(answer.status, [(k, v) for k, v in answer.getheaders() if k.lower() not in dropped], text, length)

    def reply(self, status, headers, text, length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", length or str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = go


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
