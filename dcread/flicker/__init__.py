"""The check whether a light source flickers."""
