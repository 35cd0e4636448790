"""
A moto server with what the template of this project needs and moto's CloudFormation and IAM leave out: Object Lock,
lifecycle and policy of a bucket, groups, a role's managed policies; and IAM's decision as AWS documents it, with
permission boundaries, bucket policies, conditions and principal tags
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html). The life
of a stack is in moto_stacks.py.

It speaks HTTP, so `aws:SecureTransport` is taken to be true.
"""

import datetime
import json
import re
import sys
import urllib.parse
from xml.etree import ElementTree

import moto_stacks  # noqa: F401
from moto.core.common_models import CloudFormationModel
from moto.iam import access_control
from moto.iam.responses import IamResponse
from moto.iam.models import Group, ManagedPolicy, Role, iam_backends
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import FakeBucket, PublicAccessBlock, S3Backend, s3_backends
from moto.s3.responses import S3Response

PARTITION = "aws"

# -- CloudFormation ---------------------------------------------------------------------------------------------------

plain_create = FakeBucket.create_from_cloudformation_json.__func__
plain_update = FakeBucket.update_from_cloudformation_json.__func__


def complete_bucket(bucket, properties):
    if properties.get("VersioningConfiguration", {}).get("Status") == "Enabled":
        bucket.versioning_status = "Enabled"
    bucket.object_lock_enabled = str(properties.get("ObjectLockEnabled")).lower() == "true"
    retention = properties.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    bucket.default_lock_mode = retention.get("Mode")
    bucket.default_lock_days = int(retention.get("Days", 0))
    block = properties.get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    bucket.public_access_block = PublicAccessBlock(*(str(block.get(name, False)).lower() for name in names))


def create_bucket(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    bucket = plain_create(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    complete_bucket(bucket, cloudformation_json["Properties"])
    return bucket


def update_bucket(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    properties = cloudformation_json["Properties"]
    properties["BucketName"] = properties.get("BucketName") or original_resource.name
    bucket = plain_update(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name)
    complete_bucket(bucket, properties)
    return bucket


FakeBucket.create_from_cloudformation_json = classmethod(create_bucket)
FakeBucket.update_from_cloudformation_json = classmethod(update_bucket)
# moto's own look at bucket policies knows no conditions; decide() does.
FakeBucket.get_permission = lambda self, action, resource: access_control.PermissionResult.NEUTRAL


class BucketPolicy(CloudFormationModel):
    # moto reads its service from there.
    __module__ = "moto.s3.models"

    def __init__(self, bucket):
        self.bucket = bucket
        self.physical_resource_id = f"{bucket}-policy"

    cloudformation_name_type = staticmethod(lambda: "")
    cloudformation_type = staticmethod(lambda: "AWS::S3::BucketPolicy")
    has_cfn_attr = classmethod(lambda cls, attr: False)

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        document = json.dumps(properties["PolicyDocument"], default=str)
        s3_backends[account_id][PARTITION].get_bucket(properties["Bucket"]).policy = document.encode()
        return cls(properties["Bucket"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass


class TemplateGroup(CloudFormationModel):
    __module__ = "moto.iam.models"

    def __init__(self, group: Group):
        self.physical_resource_id = group.name
        self.arn = group.arn

    cloudformation_name_type = staticmethod(lambda: "GroupName")
    cloudformation_type = staticmethod(lambda: "AWS::IAM::Group")
    has_cfn_attr = classmethod(lambda cls, attr: attr == "Arn")

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        backend = iam_backends[account_id][PARTITION]
        group = backend.create_group(resource_name)
        for arn in cloudformation_json["Properties"].get("ManagedPolicyArns", []):
            backend.attach_group_policy(arn, resource_name)
        return cls(group)

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        backend = iam_backends[account_id][PARTITION]
        for arn in list(backend.get_group(resource_name).managed_policies):
            backend.detach_group_policy(arn, resource_name)
        backend.delete_group(resource_name)


plain_create_role = Role.create_from_cloudformation_json.__func__
plain_delete_role = Role.delete_from_cloudformation_json.__func__


def create_role(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    role = plain_create_role(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    for arn in cloudformation_json["Properties"].get("ManagedPolicyArns", []):
        iam_backends[account_id][PARTITION].attach_role_policy(arn, role.name)
    return role


def delete_role(cls, resource_name, cloudformation_json, account_id, region_name):
    backend = iam_backends[account_id][PARTITION]
    for arn in list(backend.get_role(resource_name).managed_policies):
        backend.detach_role_policy(arn, resource_name)
    plain_delete_role(cls, resource_name, cloudformation_json, account_id, region_name)


def delete_policy(cls, resource_name, cloudformation_json, account_id, region_name):
    iam_backends[account_id][PARTITION].delete_policy(resource_name)


def update_policy(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    default = next(version for version in original_resource.versions if version.is_default)
    default.document = json.dumps(cloudformation_json["Properties"]["PolicyDocument"], default=str)
    return original_resource


Role.create_from_cloudformation_json = classmethod(create_role)
Role.delete_from_cloudformation_json = classmethod(delete_role)
ManagedPolicy.update_from_cloudformation_json = classmethod(update_policy)
ManagedPolicy.delete_from_cloudformation_json = classmethod(delete_policy)

# -- S3: moto shows no lock, lets one be shortened, and skips a version ----------------------------------------------

plain_get_object = S3Response.get_object
plain_list_versions = S3Backend.list_object_versions
plain_put_retention = S3Backend.put_object_retention


def get_object(self):
    if "retention" not in self.querystring:
        return plain_get_object(self)
    key, _ = self._get_key(validate_storage_class=False)
    if not key.lock_mode:
        return 404, {}, "<Error><Code>NoSuchObjectLockConfiguration</Code><Message>no lock</Message></Error>"
    lock = f"<Mode>{key.lock_mode}</Mode><RetainUntilDate>{key.lock_until}</RetainUntilDate>"
    return 200, {}, f'<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{lock}</Retention>'


def put_object_retention(self, bucket_name, key_name, version_id, retention):
    key = self.get_object(bucket_name, key_name, version_id=version_id)
    if key.lock_until and moment(retention[1]) < moment(key.lock_until):
        raise S3AccessDeniedError()
    return plain_put_retention(self, bucket_name, key_name, version_id, retention)


def list_object_versions(self, bucket_name, delimiter=None, key_marker=None, max_keys=1000, prefix="", version_id_marker=None):
    if key_marker is None or version_id_marker:
        return plain_list_versions(self, bucket_name, delimiter, key_marker, max_keys, prefix, version_id_marker)
    # moto leaves out the first version behind a marker that is no key.
    versions, prefixes, markers, *_ = plain_list_versions(self, bucket_name, delimiter, None, None, prefix, None)
    behind = ([each for each in found if each.name > key_marker] for found in (versions, markers))
    versions, markers = behind
    return versions, prefixes, markers, None, None


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


S3Response.get_object = get_object
S3Backend.list_object_versions = list_object_versions
S3Backend.put_object_retention = put_object_retention

# -- IAM --------------------------------------------------------------------------------------------------------------


def pattern(text, context):
    """A policy's text with * and ? as a regular expression; None where a variable in it has no value."""
    parts = re.split(r"(\$\{[^}]+\})", text)
    out = ""
    for part in parts:
        if part.startswith("${"):
            value = context.get(part[2:-1].lower())
            if value is None:
                return None
            out += re.escape(value)
        else:
            out += re.escape(part).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(f"^{out}$", re.DOTALL)


def listed(value):
    return value if isinstance(value, list) else [value]


def like(wanted, value, context):
    compiled = pattern(str(wanted), context)
    return compiled is not None and compiled.match(value) is not None


def condition_holds(operator, key, wanted, context):
    every = operator.startswith("ForAllValues:")
    if operator.startswith("ForAnyValue:") and context.get(key.lower()) is None:
        return False
    operator = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:")
    value = context.get(key.lower())
    if operator == "Null":
        return (value is None) == (str(listed(wanted)[0]).lower() == "true")
    if value is None:
        # Of a missing key negated operators are true, and so is every one of ForAllValues.
        return every or "Not" in operator
    if operator == "StringEquals" or operator == "Bool":
        return any(like(want, value, context) for want in listed(wanted))
    if operator == "StringNotEquals":
        return not any(like(want, value, context) for want in listed(wanted))
    if operator == "NumericGreaterThan":
        return float(value) > float(listed(wanted)[0])
    raise NotImplementedError(operator)


def applies(statement, action, resource, context):
    actions = [pattern(each.lower(), context) for each in listed(statement["Action"])]
    if not any(each is not None and each.match(action.lower()) for each in actions):
        return False
    resources = listed(statement.get("Resource", "*"))
    if not any(like(each, resource, context) for each in resources):
        return False
    return all(
        condition_holds(operator, key, wanted, context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def effects(document, action, resource, context):
    return {
        statement["Effect"]
        for statement in listed(document["Statement"])
        if applies(statement, action, resource, context)
    }


def s3_request(request):
    """Actions, resource and what conditions can ask of a request to S3."""
    url = urllib.parse.urlsplit(request._path)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
    headers = {name.lower(): value for name, value in request._headers.items()}
    method = "GET" if request._method == "HEAD" else request._method
    context = {}
    mode = headers.get("x-amz-object-lock-mode")
    until = headers.get("x-amz-object-lock-retain-until-date")
    if key == "":
        named = {
            ("GET", "versions"): "ListBucketVersions",
            ("GET", "object-lock"): "GetBucketObjectLockConfiguration",
            ("GET", "policy"): "GetBucketPolicy",
            ("PUT", "policy"): "PutBucketPolicy",
            ("DELETE", "policy"): "DeleteBucketPolicy",
            ("POST", "delete"): "DeleteObject",
        }
        found = [action for (verb, name), action in named.items() if verb == method and name in query]
        otherwise = {"GET": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket", "POST": "PutObject"}
        actions = found or [otherwise[method]]
    elif "retention" in query:
        actions = ["GetObjectRetention" if method == "GET" else "PutObjectRetention"]
        if method == "PUT":
            root = ElementTree.fromstring(request._body)
            values = {element.tag.split("}")[-1]: element.text for element in root}
            mode, until = values.get("Mode"), values.get("RetainUntilDate")
    elif "legal-hold" in query:
        actions = ["GetObjectLegalHold" if method == "GET" else "PutObjectLegalHold"]
    elif method == "PUT":
        actions = ["PutObject", *(["PutObjectRetention"] if mode else [])]
    else:
        actions = [{"GET": "GetObject", "DELETE": "DeleteObject"}[method] + ("Version" if "versionId" in query else "")]
    if headers.get("x-amz-bypass-governance-retention") == "true":
        actions.append("BypassGovernanceRetention")
    if mode is not None:
        context["s3:object-lock-mode"] = mode
    if until is not None:
        left = moment(until) - datetime.datetime.now(datetime.timezone.utc)
        context["s3:object-lock-remaining-retention-days"] = str(left.total_seconds() / 86400)
    resource = f"arn:{PARTITION}:s3:::{bucket}" + (f"/{key}" if key else "")
    return [f"s3:{action}" for action in actions], resource, context, bucket


plain_create_user = IamResponse.create_user


def create_user(self):
    answer = plain_create_user(self)
    user = self.backend.get_user(self._get_param("UserName"))
    user.permissions_boundary_arn = self._get_param("PermissionsBoundary")
    return answer


IamResponse.create_user = create_user


def principal(request):
    """Policies, boundary and tags of who asks."""
    key, backend = request._access_key, request.backend
    policies = [access_control.IAMPolicy(policy)._policy_json for policy in key.collect_policies()]
    role_name = getattr(key, "_owner_role_name", None)
    if role_name is None:
        user = backend.get_user(key._owner_user_name)
        boundary, tags = getattr(user, "permissions_boundary_arn", None), backend.list_user_tags(user.name)
    else:
        role = backend.get_role(role_name)
        boundary, tags = role.permissions_boundary_arn, list((role.tags or {}).values())
    bounds = None
    if boundary:
        bounds = access_control.IAMPolicy(backend.get_policy(boundary))._policy_json
    return policies, bounds, {f"aws:principaltag/{tag['Key']}".lower(): tag["Value"] for tag in tags}


def decide(request, resource):
    if request._action == "sts:GetCallerIdentity":
        return
    policies, bounds, context = principal(request)
    context["aws:securetransport"] = "true"
    actions, more = [request._action], []
    if request._service == "s3":
        actions, resource, own, bucket = s3_request(request)
        context |= own
        stored = s3_backends[request.account_id][PARTITION].buckets.get(bucket)
        if stored is not None and stored.policy:
            more.append(json.loads(stored.policy))
    for action in actions:
        by_identity = set().union(*(effects(policy, action, resource, context) for policy in policies))
        by_bounds = {"Allow"} if bounds is None else effects(bounds, action, resource, context)
        denied = by_identity | by_bounds | set().union(*(effects(policy, action, resource, context) for policy in more))
        if "Deny" in denied or "Allow" not in by_identity or "Allow" not in by_bounds:
            request._raise_access_denied()


access_control.IAMRequestBase.check_action_permitted = decide

if __name__ == "__main__":
    from moto.server import main

    main(sys.argv[1:])
