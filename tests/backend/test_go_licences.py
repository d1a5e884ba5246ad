"""What is linked into the server is under a licence that someone has read."""

import subprocess
from pathlib import Path

BACKEND = Path(__file__).resolve().parents[2] / "backend"
READ = {  # module → the licence in its folder
    "github.com/beorn7/perks": "MIT",
    "github.com/cespare/xxhash/v2": "MIT",
    "github.com/hashicorp/golang-lru/v2": "MPL-2.0",
    "github.com/munnerz/goautoneg": "BSD-3-Clause",
    "github.com/prometheus/client_golang": "Apache-2.0",
    "github.com/prometheus/client_model": "Apache-2.0",
    "github.com/prometheus/common": "Apache-2.0",
    "github.com/prometheus/procfs": "Apache-2.0",
    "github.com/wamuir/graft": "Apache-2.0",
    "golang.org/x/sync": "BSD-3-Clause",
    "golang.org/x/sys": "BSD-3-Clause",
    "google.golang.org/protobuf": "BSD-3-Clause",
}


def test_every_module_of_the_server_has_a_licence_that_was_read(go):
    listed = "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}"
    command = [go, "list", "-deps", "-f", listed, "./cmd/cnnlab-server"]
    done = subprocess.run(command, cwd=BACKEND, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(READ)
