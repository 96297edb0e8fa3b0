"""Images, zips, folders and calibration sets: files in, tensors and classes out."""
