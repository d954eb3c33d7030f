"""Accepts or rejects all tracked changes of a document in LibreOffice, and prints the text that is left.

python3 tracked.py accept|reject FILE, with the Python that has uno (Debian: libreoffice-writer-nogui and python3-uno)
"""

import os
import subprocess
import sys
import tempfile
import time
import uuid

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException


def main():
    verb, path = sys.argv[1:]
    pipe = f"mailsort{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as profile:
        office = subprocess.Popen(
            ["soffice", "--headless", "--norestore", f"-env:UserInstallation=file://{profile}", f"--accept=pipe,name={pipe};urp;"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        context = uno.getComponentContext()
        resolver = context.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", context)
        for _ in range(600):
            try:
                remote = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
                break
            except NoConnectException:
                time.sleep(0.2)
        manager = remote.ServiceManager
        desktop = manager.createInstanceWithContext("com.sun.star.frame.Desktop", remote)
        hidden = PropertyValue("Hidden", 0, True, 0)
        document = desktop.loadComponentFromURL(uno.systemPathToFileUrl(os.path.abspath(path)), "_blank", 0, (hidden,))
        dispatcher = manager.createInstanceWithContext("com.sun.star.frame.DispatchHelper", remote)
        command = ".uno:AcceptAllTrackedChanges" if verb == "accept" else ".uno:RejectAllTrackedChanges"
        dispatcher.executeDispatch(document.getCurrentController().getFrame(), command, "", 0, ())
        sys.stdout.write(document.getText().getString())
        document.close(True)
        try:
            desktop.terminate()
        except Exception:
            pass
        office.wait(60)


main()
