"""The tests mirror `nbagent/`; `tests.kernel` runs real kernels, `tests.browser` a real JupyterLab in Chromium."""
