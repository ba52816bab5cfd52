"""The declaration of `tf.train.Example`."""

from loader._format.example import Example


def fields(message):
    """The fields of a message and of those in it: numbers, types and names."""
    return {
        (each.name, each.number, each.type, each.is_repeated): each.message_type and fields(each.message_type)
        for each in message.fields
    }


def test_the_message_is_that_of_tensorflow():
    from tensorflow.core.example.example_pb2 import Example as TensorFlows

    assert fields(Example.DESCRIPTOR) == fields(TensorFlows.DESCRIPTOR)
