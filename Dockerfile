# sr-serve in a container.
#
#   docker build -t sr-serve .                                    # for CPUs
#   docker build -t sr-serve:cuda --build-arg DEVICE=cuda .       # for NVIDIA GPUs; start with --gpus all
#   docker run --rm -p 8000:8000 sr-serve
#   docker run --rm -p 8000:8000 sr-serve model=span scale=4 workers=2
#
# PyTorch's CUDA build brings its own libraries, so both are built on the same base.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG DEVICE=cpu
# torch alone comes from PyTorch's own index, which holds its CPU builds.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
COPY conf conf
RUN python -m venv /opt/sr && \
    if [ "$DEVICE" = cpu ]; then \
        /opt/sr/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" -c constraints.txt torch; \
    fi && \
    /opt/sr/bin/pip install --no-cache-dir -c constraints.txt ".[serve]"

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 1000 sr
COPY --from=build /opt/sr /opt/sr
ENV PATH=/opt/sr/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /home/sr
EXPOSE 8000
# Of the port below; a server on another one needs a check of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Docker sends SIGTERM: what was taken is answered. Give it as long as max_seconds: docker stop --time 300.
ENTRYPOINT ["sr-serve", "host=0.0.0.0"]
