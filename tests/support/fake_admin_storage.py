"""Secrets, datasets and images of the in-memory admin API."""

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from libs.domain.errors import NotFound
from tests.support.fake_admin import now
from tests.support.fake_admin_pages import Servicer


class Secrets(Servicer, rpc.SecretServiceServicer):
    async def PutSecret(self, request, context):
        before = {} if request.replace else self.fake.secret_values.get(request.name, {})
        values = {key: value for key, value in {**before, **request.values}.items() if value}
        self.fake.secret_values[request.name] = values
        used_by = self.fake.secrets[request.name].used_by if request.name in self.fake.secrets else []
        secret = pb.Secret(name=request.name, keys=sorted(values), created_at=now(), used_by=used_by)
        self.fake.secrets[request.name] = secret
        return pb.PutSecretResponse(secret=secret)

    async def ListSecrets(self, request, context):
        secrets, token = self.page(list(self.fake.secrets.values()), request)
        return pb.ListSecretsResponse(secrets=secrets, next_page_token=token)

    async def DeleteSecret(self, request, context):
        if request.name not in self.fake.secrets:
            raise NotFound(f"no secret named {request.name!r}")
        del self.fake.secrets[request.name]
        return pb.DeleteSecretResponse()


class Datasets(Servicer, rpc.DatasetServiceServicer):
    async def CreateDataset(self, request, context):
        version = request.version or str(1 + sum(each == request.id for each, _ in self.fake.datasets))
        dataset = pb.Dataset(
            id=request.id,
            version=version,
            source_json=request.source_json,
            description=request.description,
            created_at=now(),
        )
        self.fake.datasets[request.id, version] = dataset
        return pb.CreateDatasetResponse(dataset=dataset)

    async def ListDatasets(self, request, context):
        datasets, token = self.page(list(self.fake.datasets.values()), request)
        return pb.ListDatasetsResponse(datasets=datasets, next_page_token=token)

    async def DeleteDataset(self, request, context):
        if (request.id, request.version) not in self.fake.datasets:
            raise NotFound(f"no dataset {request.id!r} at version {request.version!r}")
        del self.fake.datasets[request.id, request.version]
        return pb.DeleteDatasetResponse()


class Images(Servicer, rpc.ImageServiceServicer):
    async def PullImage(self, request, context):
        """A node whose name begins with "bad" fails; the others are done at once."""
        mine = [n for n in self.fake.nodes.values() if n.resource_group == request.resource_group]
        nodes = [
            pb.ImagePullOnNode(
                node=n.name, done=not n.name.startswith("bad"), failed=n.name.startswith("bad")
            )
            for n in mine
        ]
        for each in nodes:
            each.why = "no such image" if each.failed else "it is there"
        pull = pb.ImagePull(
            id=f"pull-{len(self.fake.pulls) + 1}",
            image=request.image,
            resource_group=self.fake.group(request.resource_group).name,
            created_at=now(),
            nodes=nodes,
        )
        self.fake.pulls[pull.id] = pull
        self.fake.calls.append(f"PullImage with {request.docker_auth}")
        return pb.PullImageResponse(pull=pull)

    async def ListImagePulls(self, request, context):
        pulls, token = self.page(list(self.fake.pulls.values()), request)
        return pb.ListImagePullsResponse(pulls=pulls, next_page_token=token)

    async def DeleteImagePull(self, request, context):
        if request.id not in self.fake.pulls:
            raise NotFound(f"no image pull {request.id!r}")
        del self.fake.pulls[request.id]
        return pb.DeleteImagePullResponse()
