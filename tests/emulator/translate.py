#!/usr/bin/env python3
"""What CloudFormation makes of a SAM template, for linters that do not know SAM: translate.py SRC DST [K=V..]"""
import json, sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

source, target, *parameters = sys.argv[1:]
with open(source) as file:
    template = yaml_parse(file)
for name, resource in template["Resources"].items():
    if resource["Type"] == "AWS::Serverless::Function":  # whose code deploying would have put into a bucket
        resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": f"{name}.zip"}
session = boto3.Session(region_name="us-east-1")
translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
translated = translator.translate(template, parameter_values=dict(p.split("=", 1) for p in parameters))
with open(target, "w") as file:
    json.dump(translated, file, indent=1, sort_keys=True)
