"""What ``points.proto`` defines: see the stub beside this file. Made by ``make proto``."""

from qdrantlite.wire.pb.pool import names_in

globals().update(names_in("points.proto"))
