class Counts:
    played: int
    late: int
    lost: int
    duplicated: int
    restarted: int
    sounded: int
    concealed: int
    waited: int
    inserted: int
    removed: int
    @property
    def concealed_percent(self) -> float: ...
