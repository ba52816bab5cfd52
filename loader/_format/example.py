"""`tf.train.Example` without TensorFlow.

The message is declared here, in a separate descriptor pool, so that it cannot conflict with TensorFlow's if both are
imported. Source of the field numbers: TensorFlow's `tensorflow/core/example/example.proto` and `feature.proto`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

# What `protoc --descriptor_set_out` makes of this file. To make it here would need `descriptor_pb2`, whose import is a
# twelfth of the time to the first example.
#
#     syntax = "proto3";
#     package loader;
#     message BytesList { repeated bytes value = 1; }
#     message FloatList { repeated float value = 1; }
#     message Int64List { repeated int64 value = 1; }
#     message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
#     message Features { map<string, Feature> feature = 1; }
#     message Example { Features features = 1; }
_FILE = (
    b"\n\x14loader/example.proto\x12\x06loader"
    b'"\x1a\n\tBytesList\x12\r\n\x05value\x18\x01 \x03(\x0c'
    b'"\x1a\n\tFloatList\x12\r\n\x05value\x18\x01 \x03(\x02'
    b'"\x1a\n\tInt64List\x12\r\n\x05value\x18\x01 \x03(\x03'
    b"\"\x8c\x01\n\x07Feature\x12'\n\nbytes_list\x18\x01 \x01(\x0b2\x11.loader.BytesListH\x00"
    b"\x12'\n\nfloat_list\x18\x02 \x01(\x0b2\x11.loader.FloatListH\x00"
    b"\x12'\n\nint64_list\x18\x03 \x01(\x0b2\x11.loader.Int64ListH\x00B\x06\n\x04kind"
    b'"{\n\x08Features\x12.\n\x07feature\x18\x01 \x03(\x0b2\x1d.loader.Features.FeatureEntry'
    b"\x1a?\n\x0cFeatureEntry\x12\x0b\n\x03key\x18\x01 \x01(\t"
    b"\x12\x1e\n\x05value\x18\x02 \x01(\x0b2\x0f.loader.Feature:\x028\x01"
    b'"-\n\x07Example\x12"\n\x08features\x18\x01 \x01(\x0b2\x10.loader.Features'
    b"b\x06proto3"
)

_pool = DescriptorPool()
_pool.AddSerializedFile(_FILE)
Example: Any = GetMessageClass(_pool.FindMessageTypeByName("loader.Example"))
Feature: Any = GetMessageClass(_pool.FindMessageTypeByName("loader.Feature"))
