"""
What moto's CloudFormation leaves out of the life of a stack: events of each resource, a creation that takes time, one
that fails and is rolled back, and change sets that say what changes and whether it is replaced.

A stack whose package name begins with `slow-` is made step by step, some at each look at its events.
"""

import itertools

from moto.cloudformation import models, responses
from moto.cloudformation.parsing import get_references_from_template

RESOURCES_PER_LOOK = 4

plain_events = models.CloudFormationBackend.describe_stack_events
plain_execute = models.CloudFormationBackend.execute_change_set
plain_outputs = models.Stack.outputs.fget
plain_exports = models.Stack.exports.fget


def tell(stack, status, reason=None, resource=None):
    if resource is None:
        stack.status = status
        stack._add_stack_event(status, resource_status_reason=reason)
        return
    kind = stack.template_dict["Resources"][resource]["Type"]
    stack.events.append(models.Event(stack.stack_id, stack.name, resource, resource, kind, status, reason, None))


def create_stack(self, name, template, parameters, **more):
    if name in [stack.name for stack in self.stacks.values()]:
        raise models.AlreadyExistsException(f"Stack {name} already exists")
    stack_id = models.generate_stack_id(name, self.region_name, self.account_id)
    stack = models.Stack(
        stack_id=stack_id,
        name=name,
        template=template,
        parameters=parameters,
        account_id=self.account_id,
        region_name=self.region_name,
        cross_stack_resources=self.exports,
        tags=more.get("tags"),
    )
    self.stacks[stack_id] = stack
    tell(stack, "CREATE_IN_PROGRESS", "User Initiated")
    stack.steps = creation(self, stack)
    if not str(parameters.get("PackageName", "")).startswith("slow-"):
        list(stack.steps)
    return stack


def creation(backend, stack):
    for resource in stack.template_dict["Resources"]:
        tell(stack, "CREATE_IN_PROGRESS", None, resource)
        yield
        try:
            stack.resource_map[resource]
        except Exception as error:
            tell(stack, "CREATE_FAILED", getattr(error, "message", None) or str(error), resource)
            roll_back(stack, f"The following resource(s) failed to create: [{resource}]. Rollback requested by user.")
            return
        tell(stack, "CREATE_COMPLETE", None, resource)
    for export in plain_exports(stack):
        if export.name in backend.exports:
            owner = backend.exports[export.name].exporting_stack_id.split("/")[1]
            roll_back(stack, f"Export with name {export.name} is already exported by stack {owner}. Rollback requested by user.")
            return
        backend.exports[export.name] = export
    tell(stack, "CREATE_COMPLETE")


def roll_back(stack, reason):
    tell(stack, "ROLLBACK_IN_PROGRESS", reason)
    resources = stack.template_dict["Resources"]
    for name in reversed(resources):
        made = stack.resource_map._parsed_resources.pop(name, None)
        if made is not None:
            stack.resource_map._delete_resource(made, resources[name])
            tell(stack, "DELETE_COMPLETE", None, name)
    tell(stack, "ROLLBACK_COMPLETE")


def describe_stack_events(self, stack_name):
    events = plain_events(self, stack_name)
    list(itertools.islice(getattr(self.get_stack(stack_name), "steps", ()), RESOURCES_PER_LOOK))
    return events


def is_there(stack):
    return stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status and "DELETE" not in stack.status


def changes_of(change_set):
    old, new = change_set.stack.template_dict["Resources"], change_set.template_dict["Resources"]
    before = change_set.stack.resource_map.resolved_parameters
    changed = {name for name, value in change_set.parameters.items() if str(before.get(name)) != str(value)}
    found = []
    for name in sorted({*old, *new}):
        action = "Add" if name not in old else "Remove" if name not in new else "Modify"
        properties = properties_of(old.get(name, {}), new.get(name, {}), changed)
        if action == "Modify" and not properties:
            continue
        kind = (new.get(name) or old[name])["Type"]
        change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind}
        if action == "Modify":
            replaced = kind == "AWS::S3::Bucket" and "BucketName" in properties
            change["Replacement"] = "True" if replaced else "False"
            change["Scope"] = ["Properties"]
            change["Details"] = [{"Target": {"Attribute": "Properties", "Name": each}} for each in properties]
        found.append({"Type": "Resource", "ResourceChange": change})
    return found


def properties_of(old, new, changed):
    old, new = old.get("Properties", {}), new.get("Properties", {})
    return sorted(
        name
        for name in {*old, *new}
        if old.get(name) != new.get(name) or changed & set(get_references_from_template(new.get(name)))
    )


def execute_change_set(self, change_set_name, stack_name=None):
    change_set = self.describe_change_set(change_set_name)
    stack = change_set.stack
    plain_execute(self, change_set_name, stack_name)
    done = stack.events.pop()
    for change in change_set.changes:
        resource = change["ResourceChange"]
        if resource["LogicalResourceId"] in stack.template_dict["Resources"]:
            tell(stack, "UPDATE_COMPLETE", None, resource["LogicalResourceId"])
    stack.events.append(done)
    stack._parse_template()
    stack.output_map = stack._create_output_map()
    stack.parameters = change_set.parameters


models.CloudFormationBackend.create_stack = create_stack
models.CloudFormationBackend.describe_stack_events = describe_stack_events
models.CloudFormationBackend.execute_change_set = execute_change_set
models.ChangeSet.diff = changes_of
responses.ChangeDTO = lambda change: change
# Asked for earlier, they would make the resources.
models.Stack.outputs = property(lambda stack: plain_outputs(stack) if is_there(stack) else None)
models.Stack.exports = property(lambda stack: plain_exports(stack) if is_there(stack) else [])
