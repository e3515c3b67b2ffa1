"""Pictures of runs and pipelines: plain SVG and HTML, no scripts, nothing from the network."""
