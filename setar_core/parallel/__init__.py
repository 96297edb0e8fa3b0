"""Work that is shared: by a processor's cores in one process, or by several processes."""
