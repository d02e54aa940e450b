"""What users write and read: the resource's schema, its conditions, and the CRD made from them."""
