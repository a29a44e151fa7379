"""REST on HTTP/1.1: routes over the database. It never looks at ``wire/grpc``."""
