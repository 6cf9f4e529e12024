#!/usr/bin/env python3
"""How long functions take to start, and how much memory: coldstart.py RUN_DIR FOLDER [ROUNDS]

FOLDER/NAME/bootstrap (or FOLDER/NAME) are the functions, RUN_DIR an emulator that `emu.py up` started. A
Lambda runtime API of its own is what each function asks for its first event: the time from exec to that request is
Lambda's initialisation without the download of the zip; memory is the process's highest until then (VmHWM).
"""
import http.server, json, os, pathlib, statistics, subprocess, sys, threading, time

run, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 10
NAMES = ["ingest", "enrich", "compact", "query", "rollup", "archive", "kpi", "alert", "forward"]
asked = threading.Event()


class Runtime(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # …/runtime/invocation/next: there is no event
        asked.set()
        time.sleep(60)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(json.loads((run / "env.json").read_text()))
import boto3

boto3.client("s3").create_bucket(Bucket="cold-start")
variables = {
    **os.environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "WEIR_BUCKET": "cold-start", "WEIR_LOG": "error",
}
for name in NAMES:
    binary = folder / name / "bootstrap" if (folder / name).is_dir() else folder / name
    stream = "" if name in ("compact", "query", "rollup", "archive") else "a-stream"
    times, memory = [], []
    for _ in range(rounds):
        asked.clear()
        begun = time.perf_counter()
        process = subprocess.Popen([binary], env={**variables, "AWS_LAMBDA_FUNCTION_NAME": name, "WEIR_STREAM": stream})
        if not asked.wait(30):
            sys.exit(f"{name} does not ask for an event in 30 s")
        times.append((time.perf_counter() - begun) * 1e3)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        memory.append(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024)
        process.kill()
        process.wait()
    print(f"{name:8} {statistics.median(times):7.1f} ms (longest {max(times):.1f})  {max(memory):6.1f} MiB  {binary.stat().st_size / 1e6:.1f} MB")
