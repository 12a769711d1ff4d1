"""Defines a machine that is off, and answers Redfish for it until it is killed.

controller.py DIRECTORY ADDRESS PORT: the directory holds domain.xml, tls.pem and tls.key.
"""

import sys
import time

import bcrypt
import libvirt
from sushy_tools.emulator import main as emulator

directory, address, port = sys.argv[1:]

for _ in range(150):
    try:
        connection = libvirt.open("qemu:///system")
        break
    except libvirt.libvirtError:
        time.sleep(0.2)
else:
    sys.exit("libvirtd does not answer")
with open(f"{directory}/domain.xml", encoding="utf-8") as file:
    connection.defineXML(file.read())

with open(f"{directory}/password", encoding="utf-8") as file:
    hashed = bcrypt.hashpw(file.read().encode(), bcrypt.gensalt(4)).decode()
with open(f"{directory}/htpasswd", "w", encoding="utf-8") as file:
    file.write(f"admin:{hashed}\n")
with open(f"{directory}/sushy.conf", "w", encoding="utf-8") as file:
    file.write(
        f"SUSHY_EMULATOR_AUTH_FILE = '{directory}/htpasswd'\n"
        "SUSHY_EMULATOR_LIBVIRT_URI = 'qemu:///system'\n"
        f"SUSHY_EMULATOR_STATE_DIR = '{directory}'\n"
        "SUSHY_EMULATOR_BOOT_LOADER_MAP = {\n"
        "    'UEFI': {'x86_64': '/usr/share/OVMF/OVMF_CODE_4M.fd'},\n"
        "    'Legacy': {'x86_64': None},\n"
        "}\n"
    )
sys.argv = [
    "sushy-emulator",
    *("--config", f"{directory}/sushy.conf", "--interface", address, "--port", port),
    *("--ssl-certificate", f"{directory}/tls.pem", "--ssl-key", f"{directory}/tls.key"),
]
sys.exit(emulator.main())
