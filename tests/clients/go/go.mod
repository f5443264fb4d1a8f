module graph-relay-client-tests

go 1.19
