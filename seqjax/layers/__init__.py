"""Layers: whole sequences in, whole sequences out, one idea a file, each a factory that returns a `Layer`."""

from seqjax.layers import attention
from seqjax.layers.bidirectional import (
    BidirectionalCarry,
    BidirectionalParams,
    bidirectional,
    streaming_step,
)
from seqjax.layers.convolution import ConvolutionParams, convolution, picture_convolution
from seqjax.layers.crf import CRF, CRFParams, crf
from seqjax.layers.delay_line import DelayLineParams, delay_line
from seqjax.layers.dense import DenseParams, dense
from seqjax.layers.dropout import dropout
from seqjax.layers.embed import EmbedParams, embed
from seqjax.layers.layer import Layer
from seqjax.layers.layer_norm import LayerNormParams, layer_norm
from seqjax.layers.pointwise import pointwise
from seqjax.layers.recurrent import as_layer, recurrent
from seqjax.layers.residual import residual
from seqjax.layers.stack import stack
from seqjax.layers.summary import summary

__all__ = [
    "BidirectionalCarry",
    "BidirectionalParams",
    "CRF",
    "CRFParams",
    "ConvolutionParams",
    "DelayLineParams",
    "DenseParams",
    "EmbedParams",
    "Layer",
    "LayerNormParams",
    "as_layer",
    "attention",
    "bidirectional",
    "crf",
    "convolution",
    "delay_line",
    "dense",
    "dropout",
    "embed",
    "layer_norm",
    "picture_convolution",
    "pointwise",
    "recurrent",
    "residual",
    "stack",
    "streaming_step",
    "summary",
]
