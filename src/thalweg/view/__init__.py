"""The folder of runs as a site on this machine: the list, the page of each, up to date while they go.

>>> site = Site("runs")
>>> site.answer("/").status                          # the list; "/page/digits-1" the page of a run
200
>>> with Server(site, port=0) as server:             # loopback alone; what asks under another name is refused
...     server.url
'http://127.0.0.1:43817/'

``reading`` says what lies in a folder, however broken it is; ``site`` what is answered to a path, as plain data; ``server`` is
the socket. Nothing here writes: a run and its reader never wait for each other.
"""

from thalweg.view.server import Server
from thalweg.view.site import Answer, Site

__all__ = ["Answer", "Server", "Site"]
