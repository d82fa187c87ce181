NAMES: dict[int, str]

class Journal:
    count: int
    @property
    def entries(self) -> list[tuple[str, int]]: ...
    def written(self, what: str, value: int) -> None: ...
