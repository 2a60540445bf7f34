"""Hub: being the cloud for others; session crypto, presigned addresses, uploaded parts and their ZIPs, as plain functions."""
