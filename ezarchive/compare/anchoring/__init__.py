"""Zero levels of bands: convolution to a common beam, kernels, fits of one band by another, and the step that anchors files."""
