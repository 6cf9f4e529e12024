"""A subscriber: a queue of SQS that gets of a topic of SNS what a filter policy lets through.

subscriber.py subscribe NAME POLICY [TOPIC]  makes both, or a queue for a topic; prints {"topic": ARN, "queue": URL}
subscriber.py drain URL                      prints and removes what has arrived: a JSON list of SNS' notifications
"""
import json
import sys

import boto3

verb, *rest = sys.argv[1:]
sqs, sns = boto3.client("sqs"), boto3.client("sns")
if verb == "subscribe":
    name, policy, *topic = rest
    topic = topic[0] if topic else sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": policy})
    print(json.dumps({"topic": topic, "queue": queue}))
else:
    (queue,) = rest
    arrived = []
    # Bounded: a topic of a test has some dozens of messages, and a queue that stays empty is read up.
    for _ in range(1000):
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        if not got:
            break
        for message in got:
            arrived.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    print(json.dumps(arrived))
