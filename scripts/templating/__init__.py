"""Shared workflows written in code: a graph that knows the nodes' schemas, and the stories."""
