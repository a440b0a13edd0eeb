"""What an instance of EC2 is made from: its image, its first-boot data, and what it may do in the account."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """Where AWS finds an operating system's images: the account that publishes them, and a pattern of their names."""

    owner: str
    name: str


BASE_IMAGES: Mapping[str, BaseImage] = {
    # Canonical: documentation.ubuntu.com/aws, "Find Ubuntu images on AWS".
    "ubuntu-24.04": BaseImage(
        owner="099720109477", name="ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
    ),
    # Debian: wiki.debian.org/Cloud/AmazonEC2Image/Bookworm.
    "debian-12": BaseImage(owner="136693071363", name="debian-12-amd64-*"),
}
"""The newest image of each is taken; owners are those of AWS's own partition, and others in China and GovCloud."""
ROOT_DISK_GIB = 20
"""For the operating system, its logs and the swap file: containers and data have a disk of their own."""
DATA_DEVICE = "/dev/sdf"
"""AWS's name for the attachment; the machine itself sees an NVMe disk."""
INSTANCE_TRUST: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def session_policy(region: str) -> dict[str, Any]:
    """What sessions of Systems Manager need: the actions of AWS's own AWSCloud9SSMInstanceProfile.

    Its AmazonSSMManagedInstanceCore would also let a machine read every parameter of the account's store. Images are
    pulled with the registry's credentials by whoever deploys, and need nothing here.
    """
    messages = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "ssm:UpdateInstanceInformation",
                "Resource": f"arn:aws:ec2:{region}:*:instance/*",
            },
            # AWS knows no resource for these.
            {"Effect": "Allow", "Action": [f"ssmmessages:{name}" for name in messages], "Resource": "*"},
        ],
    }


def user_data(document: str) -> str:
    """A cloud-init document as EC2 takes it: packed, always to the same bytes. AWS allows 16 KiB of them."""
    return base64.b64encode(gzip.compress(document.encode(), mtime=0)).decode()
