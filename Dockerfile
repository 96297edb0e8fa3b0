# The app for those who host it themselves, on a processor:
#   docker build -t setar-explorer .
#   docker run --rm -p 7860:7860 -v setar-weights:/weights setar-explorer
# Weights that are fetched from the hub stay in the volume; options of app.py go behind the name.
FROM python:3.12-slim

RUN useradd --uid 1000 --create-home visitor && mkdir /weights && chown visitor /weights
WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && pip install --no-cache-dir -r requirements.txt "gradio[mcp]"
COPY app.py LICENSE README.md THIRD_PARTY.md ./
COPY assets ./assets
COPY demo ./demo
COPY setar_core ./setar_core

USER visitor
ENV HF_HOME=/weights GRADIO_TEMP_DIR=/tmp/gradio PYTHONDONTWRITEBYTECODE=1
VOLUME /weights
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/gradio_api/startup-events', timeout=4)"]
ENTRYPOINT ["python", "app.py", "--host", "0.0.0.0", "--port", "7860", "--public"]
