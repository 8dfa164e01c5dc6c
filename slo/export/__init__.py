"""Objectives in the formats of others, each with what it cannot say."""
