#!/usr/bin/env python3
"""Starts, deploys to and stops a loopback ministack, the emulator of the AWS APIs.

  emu.py up RUN_DIR                               start on a free port, wait until ready
  emu.py deploy RUN_DIR TEMPLATE STACK [K=V..]    package, deploy, close the emulator's gaps
  emu.py point RUN_DIR STACK FUNCTION K=V..       set further variables of a function
  emu.py invoke RUN_DIR STACK FUNCTION EVENT      call a function, which must succeed
  emu.py put RUN_DIR BUCKET KEY TEXT              store an object
  emu.py statistics RUN_DIR NAMESPACE             the metrics of a namespace of CloudWatch, of the last hour
  emu.py down RUN_DIR                             stop by pid

`deploy` needs only AWS_ENDPOINT_URL (or RUN_DIR/env.json), so it works against any CloudFormation
endpoint. Gaps are closed on ministack alone.
"""
import io, json, os, pathlib, re, signal, socket, subprocess, sys, time, urllib.request, zipfile

CREDS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
         "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


def up(run):
    run.mkdir(parents=True, exist_ok=True)
    (run / "tmp").mkdir(exist_ok=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {  # a clean environment: ministack copies its own into every function process
        "PATH": os.environ["PATH"], "HOME": str(run), "TMPDIR": str(run / "tmp"), "LANG": "C.UTF-8",
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": url,  # handed to the functions, over their own setting
        "IOT_MTLS_ENABLED": "0",  # else MQTT on 0.0.0.0:8883, whatever BIND_HOST says
        "STATE_DIR": str(run / "state"), "DOCKER_HOST": "unix:///nonexistent", "LOG_LEVEL": "INFO",
    }
    env.update({k[5:]: v for k, v in os.environ.items() if k.startswith("EMU__")})  # EMU__AUTH=true -> AUTH=true
    log = open(run / "ministack.log", "wb")
    p = subprocess.Popen([sys.executable, "-m", "ministack"], env=env, stdin=subprocess.DEVNULL,
                         stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    (run / "pid").write_text(str(p.pid))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if p.poll() is not None:
            sys.exit(f"ministack exited with {p.returncode}, see {run}/ministack.log")
        try:
            with urllib.request.urlopen(f"{url}/_ministack/ready", timeout=1) as r:
                if r.status == 200:
                    break
        except OSError:
            time.sleep(0.05)
    else:
        sys.exit("ministack not ready in 60 s")
    out = {**CREDS, "AWS_ENDPOINT_URL": url}
    (run / "env.json").write_text(json.dumps(out))
    print("\n".join(f"export {k}={v}" for k, v in out.items()))


def load(run):
    f = run / "env.json"
    if f.exists():
        os.environ.update(json.loads(f.read_text()))
    import boto3
    return boto3.client


def is_ministack():
    try:
        with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_ministack/health", timeout=5) as r:
            return "services" in json.load(r)
    except (KeyError, OSError, ValueError):
        return False


def zipped(path):
    """A ready .zip, or else a zip of the binary beside it; the bootstrap must keep its x bit."""
    if path.exists():
        return path.read_bytes()
    path = path.parent
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as z:
        for f in sorted(p for p in path.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(str(f.relative_to(path)), (1980, 1, 1, 0, 0, 0))
            info.external_attr = (f.stat().st_mode & 0xFFFF) << 16
            z.writestr(info, f.read_bytes(), zipfile.ZIP_DEFLATED, 1)
    return buf.getvalue()


def deploy(run, template, stack, *params):
    run.mkdir(parents=True, exist_ok=True)
    client = load(run)
    s3, cf = client("s3"), client("cloudformation")
    bucket = os.environ.get("ARTIFACT_BUCKET", "deploy-artifacts")
    try:
        s3.create_bucket(Bucket=bucket)
    except s3.exceptions.ClientError as e:
        if "AlreadyOwned" not in str(e):
            raise
    import hashlib
    template = pathlib.Path(template)

    def upload(m):  # the same thing `aws cloudformation package` does
        body = zipped(template.parent / m[1])
        key = hashlib.sha256(body).hexdigest()[:32] + ".zip"
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"CodeUri: s3://{bucket}/{key}"
    text = re.sub(r"CodeUri:\s+(?!s3://)(\S+)", upload, template.read_text())
    if is_ministack():  # it asks for the call's name; IAM's one action is sns:Publish
        text = text.replace("[sns:Publish]", "[sns:Publish, sns:PublishBatch]")
    try:
        status = cf.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        kind = "CREATE" if status == "REVIEW_IN_PROGRESS" else "UPDATE"
    except cf.exceptions.ClientError:
        kind = "CREATE"
    name = f"c{time.time_ns()}"
    cf.create_change_set(
        StackName=stack, ChangeSetName=name, ChangeSetType=kind, TemplateBody=text,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[dict(zip(("ParameterKey", "ParameterValue"), p.split("=", 1))) for p in params])
    wait = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 300}}
    cf.get_waiter("change_set_create_complete").wait(StackName=stack, ChangeSetName=name, **wait)
    cf.execute_change_set(StackName=stack, ChangeSetName=name)
    cf.get_waiter(f"stack_{kind.lower()}_complete").wait(StackName=stack, **wait)
    res = {r["LogicalResourceId"]: r["PhysicalResourceId"]
           for p in cf.get_paginator("list_stack_resources").paginate(StackName=stack)
           for r in p["StackResourceSummaries"]}
    out = {o["OutputKey"]: o["OutputValue"] for o in cf.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]}
    if is_ministack():
        fix(client, cf, stack, res)
        # No DNS needed: the path form of execute-api.
        out["ApiUrl"] = f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{out['ApiId']}"
    (run / f"{stack}.json").write_text(json.dumps(out, indent=1))
    print(json.dumps(out, indent=1))


def fix(client, cf, stack, res):
    """What ministack 1.5.33 accepts in a template and then drops."""
    body = cf.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    body = json.loads(body) if isinstance(body, str) else body
    api, lam, s3 = client("apigatewayv2"), client("lambda"), client("s3")
    for logical, r in body["Resources"].items():
        if logical not in res:  # its condition does not hold
            continue
        p = r.get("Properties", {})
        if r["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in p:  # OpenAPI body of a SAM HttpApi: no routes made
            have = {i["RouteKey"] for i in api.get_routes(ApiId=res[logical]).get("Items", [])}
            cors = p["Body"].get("x-amazon-apigateway-cors")
            if cors:
                api.update_api(ApiId=res[logical], CorsConfiguration={k[0].upper() + k[1:]: v for k, v in cors.items()})
            for path, ops in p["Body"]["paths"].items():
                for verb, op in ops.items():
                    integ = op.get("x-amazon-apigateway-integration") if isinstance(op, dict) else None
                    key = (f"{'ANY' if verb.startswith('x-') else verb.upper()} {path}").replace("ANY /$default", "$default")
                    if not integ or key in have:
                        continue
                    fn = re.search(r"functions/\$\{(\w+)\.Arn\}", json.dumps(integ["uri"]))[1]
                    arn = lam.get_function(FunctionName=res[fn])["Configuration"]["FunctionArn"]
                    i = api.create_integration(ApiId=res[logical], IntegrationType="AWS_PROXY", IntegrationUri=arn,
                                               PayloadFormatVersion=integ.get("payloadFormatVersion", "2.0"))
                    api.create_route(ApiId=res[logical], RouteKey=key, Target="integrations/" + i["IntegrationId"])
        elif r["Type"] == "AWS::Lambda::Function" and isinstance(p.get("ReservedConcurrentExecutions"), int):
            lam.put_function_concurrency(FunctionName=res[logical],
                                         ReservedConcurrentExecutions=p["ReservedConcurrentExecutions"])
        elif r["Type"] == "AWS::S3::Bucket" and "LifecycleConfiguration" in p:
            rules = []
            for x in p["LifecycleConfiguration"]["Rules"]:
                y = {"ID": x.get("Id", "r"), "Status": x["Status"], "Filter": {"Prefix": x.get("Prefix", "")}}
                if "ExpirationInDays" in x:
                    y["Expiration"] = {"Days": x["ExpirationInDays"]}
                if "AbortIncompleteMultipartUpload" in x:
                    y["AbortIncompleteMultipartUpload"] = x["AbortIncompleteMultipartUpload"]
                rules.append(y)
            s3.put_bucket_lifecycle_configuration(Bucket=res[logical], LifecycleConfiguration={"Rules": rules})
        elif r["Type"] == "AWS::S3::BucketPolicy":
            # The template allows TLS alone, which ministack enforces and does not speak.
            s3.delete_bucket_policy(Bucket=res[p["Bucket"]["Ref"]])


def physical(run, stack, function):
    cf = load(run)("cloudformation")
    found = cf.describe_stack_resource(StackName=stack, LogicalResourceId=function)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def invoke(run, stack, function, event):
    answer = load(run)("lambda").invoke(FunctionName=physical(run, stack, function), Payload=event.encode())
    if "FunctionError" in answer:
        sys.exit(answer["Payload"].read().decode())


def bucket(run, name):
    load(run)("s3").create_bucket(Bucket=name)


def put(run, bucket, key, text):
    load(run)("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())


def statistics(run, namespace):
    """Writes NAMESPACE.json, slashes as dashes: name, dimensions and statistics of each metric."""
    client, now, found = load(run)("cloudwatch"), time.time(), []
    for metric in client.list_metrics(Namespace=namespace)["Metrics"]:
        dimensions = metric.get("Dimensions", [])
        points = client.get_metric_statistics(
            Namespace=namespace, MetricName=metric["MetricName"], Dimensions=dimensions, Period=7200,
            StartTime=now - 3600, EndTime=now + 3600, Statistics=["Sum", "SampleCount", "Minimum", "Maximum"])
        totals = [{k: p[k] for k in ("Sum", "SampleCount", "Minimum", "Maximum")} for p in points["Datapoints"]]
        found.append({"name": metric["MetricName"], "dimensions": {d["Name"]: d["Value"] for d in dimensions},
                      "points": totals})
    (run / f"{namespace.replace('/', '-')}.json").write_text(json.dumps(found))


def point(run, stack, function, *variables):
    lam = load(run)("lambda")
    name = physical(run, stack, function)
    known = lam.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
    known.update(v.split("=", 1) for v in variables)  # an update replaces the whole map
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": known})


def down(run):
    pid = int((run / "pid").read_text())
    for sig, secs in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        end = time.monotonic() + secs
        try:
            os.kill(pid, sig)
            while time.monotonic() < end:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
                os.kill(pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            break
    (run / "pid").unlink()


if __name__ == "__main__":
    verb, run, *rest = sys.argv[1:]
    verbs = [up, deploy, point, invoke, put, bucket, statistics, down]
    {verb.__name__: verb for verb in verbs}[verb](pathlib.Path(run).resolve(), *rest)
