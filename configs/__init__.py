"""Where configs come from: Apollo's protocol, the manifest, and its roll-out in two phases."""
