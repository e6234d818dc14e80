"""What several shelves of tests share: a clock that stands still, real repositories, a server."""
