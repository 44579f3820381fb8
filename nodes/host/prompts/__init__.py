"""Prompts of a stream: plain conditionings, schedules, the Mini's text encoder, job lists."""
